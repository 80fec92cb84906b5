//! An embedder's reader as a `stream<u8>`, and a `stream<u8>` into an embedder's writer.
//!
//! Bytes go straight between the reader or writer and the component's memory: none are kept here,
//! so that the slower side sets the pace. A reader that fails must not look like one that ended,
//! because the part before a failure can be a whole archive; so it ends the operation instead.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    sync::oneshot,
};
use wasmtime::{
    AsContextMut, StoreContextMut,
    component::{Destination, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult},
};

use super::events::Awaited;
use crate::{Error, bounds::moved, instance::State, types};

/// Bytes read at once where the component does not say how many it wants.
const CHUNK: usize = 256 * 1024;

/// A reader as a stream, and why the reader failed, should it fail.
///
/// # Errors
/// If wasmtime refuses a further stream, which would be a fault of strata.
pub(super) fn draw(
    store: impl AsContextMut<Data = State>,
    reader: impl AsyncRead + Send + Unpin + 'static,
) -> wasmtime::Result<(StreamReader<u8>, oneshot::Receiver<io::Error>)> {
    let (failed, failure) = oneshot::channel();
    let producer = Reader {
        reader,
        failed: Some(failed),
    };
    Ok((StreamReader::new(store, producer)?, failure))
}

/// Produces what a reader has.
struct Reader<R> {
    reader: R,
    /// `None` once the reader failed.
    failed: Option<oneshot::Sender<io::Error>>,
}

impl<D, R: AsyncRead + Send + Unpin + 'static> StreamProducer<D> for Reader<R> {
    type Item = u8;
    type Buffer = Bytes;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Bytes>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            // The component asks whether there is something; its next read will tell.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let waiting = |finish| match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        };
        if self.failed.is_none() {
            return waiting(finish);
        }
        let mut destination = destination.as_direct(store, CHUNK);
        let mut buffer = ReadBuf::new(destination.remaining());
        match Pin::new(&mut self.reader).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => match buffer.filled().len() {
                0 => Poll::Ready(Ok(StreamResult::Dropped)),
                count => {
                    destination.mark_written(count);
                    moved(count);
                    Poll::Ready(Ok(StreamResult::Completed))
                }
            },
            Poll::Ready(Err(error)) => {
                if let Some(failed) = self.failed.take() {
                    // Whoever waited may be gone.
                    let _ = failed.send(error);
                }
                // Never ends: who hears of the failure drops the instance.
                waiting(finish)
            }
            Poll::Pending => waiting(finish),
        }
    }
}

/// Writes a stream to a writer. The receiver gets the writer when the stream ended, or why it
/// failed.
///
/// # Errors
/// If wasmtime refuses the stream, which would be a fault of strata.
pub(super) fn pour<W: AsyncWrite + Send + Unpin + 'static>(
    store: impl AsContextMut<Data = State>,
    stream: StreamReader<u8>,
    writer: W,
) -> wasmtime::Result<oneshot::Receiver<io::Result<W>>> {
    let (done, written) = oneshot::channel();
    let consumer = Writer {
        open: Some((writer, done)),
    };
    stream.pipe(store, consumer)?;
    Ok(written)
}

/// The writer, with all in it, once the verdict is good.
///
/// # Errors
/// [`Error::Output`] if writing failed, [`Error::Image`] with the verdict.
pub(super) async fn finish<W: AsyncWrite + Unpin>(
    written: oneshot::Receiver<io::Result<W>>,
    verdict: Awaited<()>,
) -> Result<W, Error> {
    let Ok(written) = written.await else {
        return Err(types::Error::Cancelled.into());
    };
    // A writer that failed is why the verdict is bad.
    let mut writer = written.map_err(Error::Output)?;
    verdict.verdict().await?;
    writer.flush().await.map_err(Error::Output)?;
    Ok(writer)
}

/// Consumes into a writer.
struct Writer<W> {
    /// `None` once writing failed.
    open: Option<(W, oneshot::Sender<io::Result<W>>)>,
}

impl<W> Writer<W> {
    fn fail(&mut self, error: io::Error) -> Poll<wasmtime::Result<StreamResult>> {
        if let Some((_, done)) = self.open.take() {
            // The one who waited may have been cancelled.
            let _ = done.send(Err(error));
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<D, W: AsyncWrite + Send + Unpin + 'static> StreamConsumer<D> for Writer<W> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some((writer, _)) = &mut self.open else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        if bytes.is_empty() {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        match Pin::new(writer).poll_write(cx, bytes) {
            Poll::Ready(Ok(0)) => self.fail(io::ErrorKind::WriteZero.into()),
            Poll::Ready(Ok(count)) => {
                source.mark_read(count);
                moved(count);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => self.fail(error),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<W> Drop for Writer<W> {
    /// The stream ended, whoever ended it.
    fn drop(&mut self) {
        if let Some((writer, done)) = self.open.take() {
            // The one who waited may have been cancelled.
            let _ = done.send(Ok(writer));
        }
    }
}
