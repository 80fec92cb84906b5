//! A guest's `stream<u8>` into an ingest.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use strata_store::{Error, backend::Sink};
use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{Source, StreamConsumer, StreamResult},
};

use crate::bounds::moved;

/// Bytes taken in one go: hyper's frames are smaller, a guest's own buffer may
/// not be.
const CHUNK: usize = 256 * 1024;

/// Tells an [`Appender`] that nobody waits for it any more.
pub(super) struct CancelOnDrop(pub(super) Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Consumes the stream. Runs on the instance's only thread, so it only hands
/// bytes over: the store hashes and writes on its own threads.
pub(super) struct Appender {
    sink: Box<dyn Sink>,
    cancelled: Arc<AtomicBool>,
    error: Option<Error>,
    done: Option<oneshot::Sender<Result<(), Error>>>,
}

impl Appender {
    pub(super) fn new(
        sink: Box<dyn Sink>,
        cancelled: Arc<AtomicBool>,
        done: oneshot::Sender<Result<(), Error>>,
    ) -> Self {
        Self {
            sink,
            cancelled,
            error: None,
            done: Some(done),
        }
    }
}

impl<D> StreamConsumer<D> for Appender {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(StreamResult::Dropped));
        }
        match self.sink.poll_ready(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.error = Some(error);
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        }
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let count = bytes.len().min(CHUNK);
        let bytes = Bytes::copy_from_slice(&bytes[..count]);
        match self.sink.start_send(bytes) {
            Ok(()) => {
                source.mark_read(count);
                moved(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Err(error) => {
                self.error = Some(error);
                Poll::Ready(Ok(StreamResult::Dropped))
            }
        }
    }
}

impl Drop for Appender {
    /// The stream ended, whoever ended it.
    fn drop(&mut self) {
        let result = self.error.take().map_or(Ok(()), Err);
        if let Some(done) = self.done.take() {
            // The one who waited may have been cancelled.
            let _ = done.send(result);
        }
    }
}
