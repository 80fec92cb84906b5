//! A native reader as a `stream<u8>`, read ahead on a blocking thread.

use std::{
    io::Read,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use wasmtime::{
    StoreContextMut,
    component::{Destination, StreamProducer, StreamResult},
};

use crate::types;

/// Bytes read at once.
const CHUNK: usize = 256 * 1024;
/// Chunks read ahead of the consumer: 1 MiB of memory per stream.
const AHEAD: usize = 4;

type Chunk = Result<Bytes, types::Error>;

/// Produces what a reader has.
pub(super) struct ReadProducer {
    chunks: mpsc::Receiver<Chunk>,
    verdict: Option<oneshot::Sender<Result<(), types::Error>>>,
}

impl ReadProducer {
    /// Opens a reader on a blocking thread and reads it to its end there; what goes
    /// wrong is the verdict.
    pub(super) fn new<R: Read>(
        open: impl FnOnce() -> Result<R, types::Error> + Send + 'static,
        failed: impl Fn(std::io::Error) -> types::Error + Send + 'static,
        verdict: oneshot::Sender<Result<(), types::Error>>,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            let mut reader = match open() {
                Ok(reader) => reader,
                Err(error) => {
                    let _ = sender.blocking_send(Err(error));
                    return;
                }
            };
            loop {
                match fill(&mut reader).map_err(&failed) {
                    Ok(chunk) if chunk.is_empty() => return,
                    chunk => {
                        let last = chunk.is_err();
                        // A consumer that is gone ends the reading.
                        if sender.blocking_send(chunk).is_err() || last {
                            return;
                        }
                    }
                }
            }
        });
        Self {
            chunks,
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

/// The next chunk, as full as the reader can make it; empty at its end.
fn fill(reader: &mut impl Read) -> std::io::Result<Bytes> {
    let (mut chunk, start) = strata_store::buffer(CHUNK);
    reader.take(CHUNK as u64).read_to_end(&mut chunk)?;
    Ok(Bytes::from(chunk).slice(start..))
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
        match self.chunks.poll_recv(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                destination.set_buffer(bytes);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Some(Err(error))) => {
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
