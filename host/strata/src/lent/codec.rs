//! `strata:image/codec`: decompression in [steps](super::steps) on native threads.

#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::{runtime::Handle, sync::oneshot};
use wasmtime::{
    StoreContextMut,
    component::{Access, FutureReader, Source, StreamConsumer, StreamReader, StreamResult},
};

use super::{
    read::ReadProducer,
    steps::{Failure, Steps},
};
use crate::{
    bindings::strata::image::codec as wit,
    bounds::{Ended, moved},
    instance::{HasLent, Lent},
    types,
};

/// Bytes taken from the guest at once, and how many may wait.
const CHUNK: usize = 256 * 1024;
const WAITING: usize = 1 << 20;
/// Bytes there must be before the compression is looked for, as many as `strata_store::decompress`
/// looks at, or the end.
const HEAD: usize = 512;

/// How long a decoder waits for memory that others hold: as long as an instance does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl wit::Host for Lent<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasLent {
    fn decompress(
        mut access: Access<'_, T, Self>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>)> {
        let given = Arc::new(Given::default());
        let input = Input {
            given: Arc::clone(&given),
            current: Bytes::new(),
        };
        // Whoever gives memory back may do so outside of any runtime.
        let (runtime, waiting) = (Handle::current(), Arc::new(OnceLock::<Weak<Steps>>::new()));
        let lent = access.get();
        let room = {
            let waiting = Arc::clone(&waiting);
            let patience = Some(lent.shared.patience);
            lent.shared.decoders.room(patience, move || {
                let _runtime = runtime.enter();
                if let Some(steps) = waiting.get().and_then(Weak::upgrade) {
                    steps.kick();
                }
            })
        };
        let room = room.of(lent.decoders);
        let gate = room.gate();
        let steps = Steps::new(
            move || Ok(Box::new(strata_store::decompress(input, room)?)),
            failed,
            {
                let given = Arc::clone(&given);
                move || !gate.is_shut() && (gate.is_due() || given.is_ready())
            },
        );
        let _ = waiting.set(Arc::downgrade(&steps));
        let feeder = Feeder {
            given,
            steps: Arc::clone(&steps),
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

fn failed(error: io::Error) -> Failure {
    let error = strata_store::Error::io("decompressing", error);
    match error {
        strata_store::Error::Busy(_) => Failure::Ended(Ended::Busy),
        error => types::Error::InvalidArgument(format!("cannot decompress: {error}")).into(),
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
    /// Whether there will be no more.
    ended: bool,
    /// Whether the decoder is gone.
    unwanted: bool,
    /// Of a giver who waits for room.
    waker: Option<Waker>,
}

impl Given {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_ready(&self) -> bool {
        let state = self.state();
        state.ended || (state.begun && !state.bytes.is_empty())
    }
}

/// Takes the guest's stream to the decoder.
struct Feeder {
    given: Arc<Given>,
    steps: Arc<Steps>,
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
        self.steps.kick();
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.given.state().ended = true;
        self.steps.kick();
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
        state.bytes = BytesMut::new();
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}
