//! A blocking reader, read ahead in short steps.
//!
//! A step runs on a blocking thread while there is something to read and room for it, and then
//! gives the thread back: nobody who waits for a client, in whatever direction, has one. A reader
//! that has nothing *yet* says so with [`io::ErrorKind::WouldBlock`], and goes on when it is
//! [kicked](Steps::kick).

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::runtime::Handle;

use crate::{bounds::Ended, types};

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Chunks read ahead of the consumer: 1 MiB of memory per stream.
const AHEAD: usize = 4;
/// Chunks that are left when reading goes on: a step for each chunk would cost more than it reads.
const LOW: usize = AHEAD / 2;

/// A piece of what there is, or why there is no more.
pub(super) type Chunk = Result<Bytes, Failure>;

/// Why there is no more.
#[derive(Debug)]
pub(super) enum Failure {
    /// The component is told.
    Told(types::Error),
    /// The operation is ended.
    Ended(Ended),
}

impl<E: Into<types::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Told(error.into())
    }
}

/// Opens what is read.
type Open = Box<dyn FnOnce() -> Result<Box<dyn Read + Send>, Failure> + Send>;
/// Says what went wrong.
type Failed = Box<dyn Fn(io::Error) -> Failure + Send>;
/// Whether there is something to read now.
type Ready = Box<dyn Fn() -> bool + Send + Sync>;

/// A reader and what was read of it.
pub(super) struct Steps {
    state: Mutex<Reading>,
    ready: Ready,
}

struct Reading {
    /// `None` while a step is under way, and at the end.
    source: Option<(Source, Failed)>,
    chunks: VecDeque<Chunk>,
    running: bool,
    ended: bool,
    waker: Option<Waker>,
}

enum Source {
    Closed(Open),
    Open(Box<dyn Read + Send>),
}

/// What became of one attempt to read.
enum Filled {
    Some(Bytes),
    /// Nothing yet.
    Starved,
    End,
}

impl Steps {
    /// Reads what `open` opens, which happens in the first step. `ready` says whether a read would
    /// get anything, were it tried again.
    pub(super) fn new(
        open: impl FnOnce() -> Result<Box<dyn Read + Send>, Failure> + Send + 'static,
        failed: impl Fn(io::Error) -> Failure + Send + 'static,
        ready: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Arc<Self> {
        let source = Source::Closed(Box::new(open));
        Arc::new(Self {
            state: Mutex::new(Reading {
                source: Some((source, Box::new(failed))),
                chunks: VecDeque::new(),
                running: false,
                ended: false,
                waker: None,
            }),
            ready: Box::new(ready),
        })
    }

    fn state(&self) -> MutexGuard<'_, Reading> {
        // A step that panicked has taken its reader along.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Goes on reading, if there is something to read and room for it.
    pub(super) fn kick(self: &Arc<Self>) {
        let mut state = self.state();
        self.begin(&mut state);
    }

    fn begin(self: &Arc<Self>, state: &mut Reading) {
        if state.running || state.ended || state.chunks.len() > LOW || !(self.ready)() {
            return;
        }
        // Without a runtime everything is being dropped.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let Some(source) = state.source.take() else {
            return;
        };
        state.running = true;
        let steps = Arc::clone(self);
        runtime.spawn_blocking(move || steps.step(source));
    }

    /// The next chunk; `None` at the end.
    pub(super) fn poll_chunk(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Option<Chunk>> {
        let mut state = self.state();
        let chunk = state.chunks.pop_front();
        self.begin(&mut state);
        match chunk {
            Some(chunk) => Poll::Ready(Some(chunk)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Reads no more.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        state.chunks.clear();
        // Closed outside of the lock, as what is closed may be a file.
        let source = state.source.take();
        drop(state);
        drop(source);
    }

    fn step(self: Arc<Self>, (mut source, failed): (Source, Failed)) {
        loop {
            let filled = match source {
                Source::Closed(open) => open(),
                Source::Open(reader) => Ok(reader),
            };
            let filled = filled.and_then(|mut reader| match fill(&mut reader) {
                Ok(filled) => Ok((reader, filled)),
                Err(error) => Err(failed(error)),
            });
            let mut state = self.state();
            if state.ended {
                state.running = false;
                return;
            }
            let reader = match filled {
                Ok((reader, Filled::Some(chunk))) => {
                    state.chunks.push_back(Ok(chunk));
                    if let Some(waker) = state.waker.take() {
                        waker.wake();
                    }
                    if state.chunks.len() < AHEAD {
                        source = Source::Open(reader);
                        continue;
                    }
                    reader
                }
                // What came in between kicked in vain.
                Ok((reader, Filled::Starved)) if (self.ready)() => {
                    source = Source::Open(reader);
                    continue;
                }
                Ok((reader, Filled::Starved)) => reader,
                Ok((_, Filled::End)) => return state.finish(None),
                Err(error) => return state.finish(Some(error)),
            };
            state.running = false;
            state.source = Some((Source::Open(reader), failed));
            return;
        }
    }
}

impl Reading {
    fn finish(&mut self, error: Option<Failure>) {
        self.running = false;
        self.ended = true;
        self.chunks.extend(error.map(Err));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// The next chunk, as full as the reader can make it.
fn fill(reader: &mut impl Read) -> io::Result<Filled> {
    let (mut chunk, start) = strata_codec::buffer(CHUNK);
    let read = reader.take(CHUNK as u64).read_to_end(&mut chunk);
    let is_empty = chunk.len() == start;
    match read {
        Ok(_) if is_empty => Ok(Filled::End),
        // What was read before a pause is there.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && is_empty => Ok(Filled::Starved),
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(Filled::Some(Bytes::from(chunk).slice(start..))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::{
        future::poll_fn,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use super::*;

    /// Has as many bytes as it was given, and no end.
    struct Dripping(Arc<AtomicUsize>);

    impl Read for Dripping {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let there = self.0.load(SeqCst).min(buffer.len());
            if there == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0.fetch_sub(there, SeqCst);
            Ok(there)
        }
    }

    async fn next(steps: &Arc<Steps>) -> Option<Chunk> {
        poll_fn(|cx| steps.poll_chunk(cx)).await
    }

    fn failed(error: io::Error) -> Failure {
        types::Error::Unavailable(error.to_string()).into()
    }

    /// Until no thread is at it.
    async fn rest(steps: &Arc<Steps>) {
        while steps.state().running {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn nobody_who_waits_has_a_thread() {
        let there = Arc::new(AtomicUsize::new(0));
        let (reader, ready) = (Dripping(Arc::clone(&there)), Arc::clone(&there));
        let steps = Steps::new(
            move || Ok(Box::new(reader)),
            failed,
            move || ready.load(SeqCst) > 0,
        );
        for count in [1, 5, CHUNK] {
            let waiting = tokio::spawn({
                let steps = Arc::clone(&steps);
                async move { next(&steps).await.unwrap().unwrap().len() }
            });
            rest(&steps).await;
            assert!(!waiting.is_finished());
            there.fetch_add(count, SeqCst);
            steps.kick();
            assert_eq!(waiting.await.unwrap(), count);
        }
        // Nor has one whose consumer does not come.
        there.fetch_add(100 * CHUNK, SeqCst);
        steps.kick();
        rest(&steps).await;
        assert_eq!(steps.state().chunks.len(), AHEAD);
    }

    #[tokio::test]
    async fn all_is_read_in_order_and_a_failure_is_the_last_word() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
        let reader = io::Cursor::new(bytes.clone());
        let steps = Steps::new(move || Ok(Box::new(reader)), failed, || true);
        let mut read = Vec::new();
        while let Some(chunk) = next(&steps).await {
            read.extend_from_slice(&chunk.unwrap());
        }
        assert_eq!(read, bytes);

        let error = || Err(types::Error::NotFound("x".into()).into());
        let steps = Steps::new(error, failed, || true);
        assert!(next(&steps).await.unwrap().is_err());
        assert!(next(&steps).await.is_none());
    }
}
