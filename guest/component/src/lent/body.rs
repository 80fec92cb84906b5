//! A stream of bytes and the verdict that follows it.

use strata_engine::{Body, Error, Result};
use wasip3::http::types::{ErrorCode, Trailers};
use wit_bindgen::{FutureReader, StreamReader, StreamResult};

use crate::{bindings::strata::image::types, convert};

/// Bytes asked for at once. Four of the host's usual 16 KiB frames: larger only
/// costs memory, as the body is at most a document.
const CHUNK: usize = 64 * 1024;

/// Tells whether all of a stream came.
enum Verdict {
    /// A response body: its trailers, or why it was cut.
    Http(FutureReader<Result<Option<Trailers>, ErrorCode>>),
    /// A blob read from the store.
    Store(FutureReader<Result<(), types::Error>>),
}

impl Verdict {
    async fn wait(self) -> Result<()> {
        match self {
            Self::Http(trailers) => match trailers.await {
                Ok(_) => Ok(()),
                Err(code) => Err(convert::http_error(&code)),
            },
            Self::Store(result) => result.await.map_err(convert::error_from_wit),
        }
    }
}

/// The engine's body over a component-model stream.
pub(crate) struct WasiBody {
    stream: StreamReader<u8>,
    verdict: Option<Verdict>,
}

impl WasiBody {
    /// The body of a response.
    pub(crate) fn of_response(
        stream: StreamReader<u8>,
        trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    ) -> Self {
        Self {
            stream,
            verdict: Some(Verdict::Http(trailers)),
        }
    }

    /// A blob from the store.
    pub(crate) fn of_store(
        stream: StreamReader<u8>,
        result: FutureReader<Result<(), types::Error>>,
    ) -> Self {
        Self {
            stream,
            verdict: Some(Verdict::Store(result)),
        }
    }

    /// Hands the stream to `consume`, so that it passes through untouched, then
    /// waits for the verdict.
    pub(crate) async fn pass<R>(
        mut self,
        consume: impl AsyncFnOnce(StreamReader<u8>) -> Result<R>,
    ) -> Result<R> {
        let consumed = consume(self.stream).await?;
        match self.verdict.take() {
            Some(verdict) => verdict.wait().await.map(|()| consumed),
            None => Ok(consumed),
        }
    }
}

impl Body for WasiBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            if self.verdict.is_none() {
                return Ok(None);
            }
            let (result, bytes) = self.stream.read(Vec::with_capacity(CHUNK)).await;
            match result {
                StreamResult::Complete(_) if bytes.is_empty() => {}
                StreamResult::Complete(_) => return Ok(Some(bytes)),
                StreamResult::Dropped => {
                    if let Some(verdict) = self.verdict.take() {
                        verdict.wait().await?;
                    }
                    return Ok((!bytes.is_empty()).then_some(bytes));
                }
                StreamResult::Cancelled => return Err(Error::Cancelled),
            }
        }
    }
}
