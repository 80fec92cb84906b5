//! `strata:image/codec`: decompression in [steps](super::steps) on native threads.

use std::{
    io::{self, Read},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
use wasmtime::{
    StoreContextMut,
    component::{Access, FutureReader, Source, StreamConsumer, StreamReader, StreamResult},
};

use super::{read::ReadProducer, steps::Steps};
use crate::{
    bindings::strata::image::codec as wit,
    bounds::moved,
    instance::{HasLent, Lent},
    types,
};

/// Bytes taken from the guest at once, and how many may wait.
const CHUNK: usize = 256 * 1024;
const WAITING: usize = 1 << 20;
/// Bytes there must be before the compression is looked for, as many as `strata_store::decompress`
/// looks at, or the end.
const HEAD: usize = 512;

/// zstd and xz ask for up to 130 MiB each, in the host's memory, by what a stranger writes into any
/// frame: so many decode at once, for all operations together.
pub(crate) const LARGE_DECODERS: usize = 8;
/// How long one waits for another of them to end.
const DECODER_WAIT: Duration = Duration::from_secs(60);

impl wit::Host for Lent<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasLent {
    fn decompress(
        mut access: Access<'_, T, Self>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>)> {
        let decoders = Arc::clone(&access.get().shared.decoders);
        let given = Arc::new(Given::default());
        let input = Input {
            given: Arc::clone(&given),
            current: Bytes::new(),
        };
        let steps = Steps::new(
            move || Ok(Box::new(strata_store::decompress(input)?)),
            |error| match error.kind() {
                io::ErrorKind::ResourceBusy => types::Error::Unavailable(error.to_string()),
                _ => types::Error::InvalidArgument(format!("cannot decompress: {error}")),
            },
            {
                let given = Arc::clone(&given);
                move || given.is_ready()
            },
        );
        let feeder = Feeder {
            given,
            steps: Arc::clone(&steps),
            decoders,
        };
        data.pipe(&mut access, feeder)?;
        let (verdict, result) = oneshot::channel();
        let stream = StreamReader::new(&mut access, ReadProducer::of(steps, verdict))?;
        let result = FutureReader::new(&mut access, async move {
            wasmtime::error::Ok(result.await.unwrap_or(Err(types::Error::Cancelled)))
        })?;
        Ok((stream, result))
    }
}

/// Compressed bytes on their way to the decoder.
#[derive(Default)]
struct Given(Mutex<State>);

#[derive(Default)]
struct State {
    bytes: BytesMut,
    /// Whether [`HEAD`] bytes came.
    begun: bool,
    /// Whether a decoder may be made.
    room: Room,
    /// Whether there will be no more.
    ended: bool,
    /// Whether the decoder is gone.
    unwanted: bool,
    /// Of a giver who waits for room.
    waker: Option<Waker>,
}

/// What a decoder's memory comes to.
#[derive(Default)]
enum Room {
    /// Nothing is known of it yet.
    #[default]
    Unknown,
    /// It is little.
    Small,
    /// It is much, and there is none yet.
    Awaited,
    /// It is much, and there.
    Large(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit),
    /// There was none in time.
    Refused,
}

impl Room {
    /// For what begins like this.
    fn of(head: &[u8]) -> Self {
        match head {
            [0x28, 0xb5, 0x2f, 0xfd, ..]
            | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]
            | [0xfd, b'7', b'z', b'X', b'Z', ..] => Self::Awaited,
            _ => Self::Small,
        }
    }
}

impl Given {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ready(&self) -> bool {
        let state = self.state();
        let there = state.ended || (state.begun && !state.bytes.is_empty());
        there && !matches!(state.room, Room::Unknown | Room::Awaited)
    }
}

/// Takes the guest's stream to the decoder.
struct Feeder {
    given: Arc<Given>,
    steps: Arc<Steps>,
    decoders: Arc<Semaphore>,
}

impl Feeder {
    /// Makes room for the decoder, once its kind is known, and goes on.
    fn goes_on(&self) {
        {
            let mut state = self.given.state();
            if matches!(state.room, Room::Unknown) && (state.begun || state.ended) {
                state.room = Room::of(&state.bytes);
                if matches!(state.room, Room::Awaited) {
                    match Arc::clone(&self.decoders).try_acquire_owned() {
                        Ok(room) => state.room = Room::Large(room),
                        Err(_) => self.waits(),
                    }
                }
            }
        }
        self.steps.kick();
    }

    fn waits(&self) {
        // Without a runtime everything is being dropped.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let waited = Arc::clone(&self.decoders).acquire_owned();
        let (given, steps) = (Arc::clone(&self.given), Arc::clone(&self.steps));
        runtime.spawn(async move {
            let room = match tokio::time::timeout(DECODER_WAIT, waited).await {
                Ok(Ok(room)) => Room::Large(room),
                _ => Room::Refused,
            };
            {
                let mut state = given.state();
                if !state.unwanted {
                    state.room = room;
                }
            }
            steps.kick();
        });
    }
}

impl<D> StreamConsumer<D> for Feeder {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        {
            let mut state = self.given.state();
            if state.unwanted {
                // The decoder stopped: its verdict says why.
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            if state.bytes.len() >= WAITING {
                if finish {
                    return Poll::Ready(Ok(StreamResult::Cancelled));
                }
                state.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let mut source = source.as_direct(store);
            let bytes = source.remaining();
            let count = bytes.len().min(CHUNK);
            state.bytes.extend_from_slice(&bytes[..count]);
            state.begun |= state.bytes.len() >= HEAD;
            source.mark_read(count);
            moved(count);
        }
        self.goes_on();
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.given.state().ended = true;
        self.goes_on();
    }
}

/// The decoder's end of it.
struct Input {
    given: Arc<Given>,
    current: Bytes,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            let mut state = self.given.state();
            if matches!(state.room, Room::Refused) {
                return Err(io::Error::new(
                    io::ErrorKind::ResourceBusy,
                    "the server is busy: others decompress as much as it has memory for, try again later",
                ));
            }
            if state.bytes.is_empty() {
                return match state.ended {
                    true => Ok(0),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                };
            }
            self.current = state.bytes.split().freeze();
            if let Some(waker) = state.waker.take() {
                waker.wake();
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current
            .split_to(count)
            .copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let mut state = self.given.state();
        state.unwanted = true;
        state.room = Room::Small;
        state.bytes = BytesMut::new();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests;
