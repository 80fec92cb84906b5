//! `strata:image/codec`: decompression in [steps](super::steps) on native threads.

#[cfg(test)]
mod tests;

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock, Weak},
    task::{Context, Poll},
    time::Duration,
};

use strata_codec::{Feed, decompress, feed};
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
    instance::{HasImports, Imports},
    types,
};

/// Bytes taken from the guest at once.
const CHUNK: usize = 256 * 1024;

/// How long a decoder waits for memory that others hold: as long as an instance does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

impl wit::Host for Imports<'_> {}

impl<T: 'static> wit::HostWithStore<T> for HasImports {
    fn decompress(
        mut access: Access<'_, T, Self>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<(StreamReader<u8>, FutureReader<Result<(), types::Error>>)> {
        let (feed, input) = feed();
        // Whoever gives memory back may do so outside of any runtime.
        let (runtime, waiting) = (Handle::current(), Arc::new(OnceLock::<Weak<Steps>>::new()));
        let imports = access.get();
        let room = {
            let waiting = Arc::clone(&waiting);
            let patience = Some(imports.shared.patience);
            imports.shared.decoders.room(patience, move || {
                let _runtime = runtime.enter();
                if let Some(steps) = waiting.get().and_then(Weak::upgrade) {
                    steps.kick();
                }
            })
        };
        let room = room.of(imports.decoders);
        let gate = room.gate();
        let steps = Steps::new(move || decompress(input, room).map_err(failed), failed, {
            let feed = feed.clone();
            move || !gate.is_shut() && (gate.is_due() || feed.is_ready())
        });
        let _ = waiting.set(Arc::downgrade(&steps));
        let feeder = Feeder {
            feed,
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
    match strata_codec::Error::of(error) {
        Ok(strata_codec::Error::Busy(_)) => Failure::Ended(Ended::Busy),
        Ok(error) => invalid(&error),
        Err(error) => invalid(&error),
    }
}

fn invalid(error: &impl std::fmt::Display) -> Failure {
    types::Error::InvalidArgument(format!("cannot decompress: {error}")).into()
}

/// Takes the guest's stream to the decoder.
struct Feeder {
    feed: Feed,
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
        match self.feed.poll_room(cx) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let count = bytes.len().min(CHUNK);
        self.feed.give(&bytes[..count]);
        source.mark_read(count);
        moved(count);
        self.steps.kick();
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.feed.end();
        self.steps.kick();
    }
}
