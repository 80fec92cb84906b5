//! A blob as a `stream<u8>`, read ahead on a blocking thread.

use std::{
    fs::File,
    io::{self, Read as _},
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

/// Produces a blob's bytes.
pub(super) struct BlobProducer {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    verdict: Option<oneshot::Sender<Result<(), types::Error>>>,
}

impl BlobProducer {
    /// Reads `length` bytes of `file` from where it stands.
    pub(super) fn new(
        mut file: File,
        mut length: u64,
        verdict: oneshot::Sender<Result<(), types::Error>>,
    ) -> Self {
        let (sender, chunks) = mpsc::channel(AHEAD);
        tokio::task::spawn_blocking(move || {
            while length > 0 {
                let want = usize::try_from(length).unwrap_or(CHUNK).min(CHUNK);
                let mut buffer = vec![0; want];
                let chunk = file.read_exact(&mut buffer).map(|()| Bytes::from(buffer));
                let failed = chunk.is_err();
                if sender.blocking_send(chunk).is_err() || failed {
                    return;
                }
                length -= want as u64;
            }
        });
        Self {
            chunks,
            verdict: Some(verdict),
        }
    }

    fn finish(&mut self, result: Result<(), types::Error>) {
        if let Some(verdict) = self.verdict.take() {
            let _ = verdict.send(result);
        }
    }
}

impl<D> StreamProducer<D> for BlobProducer {
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
                self.finish(Err(types::Error::Unavailable(format!(
                    "cannot read a blob of the store: {error}"
                ))));
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
