//! A native reader as a `stream<u8>`, read ahead in [steps](super::steps).

use std::{
    io::Read,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{Destination, StreamProducer, StreamResult},
};

use super::steps::{Failure, Steps};
use crate::{bounds::moved, types};

/// Produces what a reader has.
pub(super) struct ReadProducer {
    steps: Arc<Steps>,
    verdict: Option<oneshot::Sender<Result<(), types::Error>>>,
}

impl ReadProducer {
    /// Reads to the reader's end, on a blocking thread; what goes wrong is the verdict.
    pub(super) fn new(
        reader: Box<dyn Read + Send>,
        failed: impl Fn(std::io::Error) -> types::Error + Send + 'static,
        verdict: oneshot::Sender<Result<(), types::Error>>,
    ) -> Self {
        let failed = move |error| failed(error).into();
        Self::of(Steps::new(move || Ok(reader), failed, || true), verdict)
    }

    /// Produces what steps read.
    pub(super) fn of(
        steps: Arc<Steps>,
        verdict: oneshot::Sender<Result<(), types::Error>>,
    ) -> Self {
        // Before it is asked for, so that the first bytes are there when it is.
        steps.kick();
        Self {
            steps,
            verdict: Some(verdict),
        }
    }

    fn finish(&mut self, result: Result<(), types::Error>) {
        if let Some(verdict) = self.verdict.take() {
            // Whoever waited may be gone.
            let _ = verdict.send(result);
        }
    }
}

impl Drop for ReadProducer {
    fn drop(&mut self) {
        self.steps.end();
    }
}

impl<D> StreamProducer<D> for ReadProducer {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.steps.poll_chunk(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                moved(bytes.len());
                destination.set_buffer(bytes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Some(Err(Failure::Ended(ended)))) => {
                Poll::Ready(Err(wasmtime::Error::new(ended)))
            }
            Poll::Ready(Some(Err(Failure::Told(error)))) => {
                self.finish(Err(error));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Ready(None) => {
                self.finish(Ok(()));
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
