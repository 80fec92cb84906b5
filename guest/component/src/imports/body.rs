//! A stream of bytes and the verdict that follows it.

use strata_engine::{Body, Error, Result};
use strata_oci::archive::Compression;
use wasip3::http::types::{ErrorCode, Trailers};
use wit_bindgen::{FutureReader, StreamReader, StreamResult, StreamWriter, spawn_local};

use crate::{
    bindings::{
        strata::image::{codec, types},
        wit_stream,
    },
    convert,
};

/// Bytes asked for at once: enough that relaying an archive is not about calls.
const CHUNK: usize = 256 * 1024;
/// Tells whether all of a stream came.
enum Verdict {
    /// The body of an answer: its trailers, or why it was cut.
    Answer(FutureReader<Result<Option<Trailers>, ErrorCode>>),
    /// The body of a request, likewise.
    Request(FutureReader<Result<Option<Trailers>, ErrorCode>>),
    /// Bytes from the host.
    Host(FutureReader<Result<(), types::Error>>),
    /// Bytes from the component's caller, who vouches for them.
    Caller,
}

impl Verdict {
    async fn wait(self) -> Result<()> {
        match self {
            Self::Request(trailers) => match trailers.await {
                Ok(_) => Ok(()),
                // Whoever cut it says more.
                Err(ErrorCode::ConnectionReadTimeout) => Err(Error::InvalidArgument(
                    "the client sent nothing for too long".into(),
                )),
                Err(_) => Err(Error::InvalidArgument(
                    "the request's body broke off before its end; send the request again".into(),
                )),
            },
            Self::Answer(trailers) => match trailers.await {
                Ok(_) => Ok(()),
                // Before a body this means something else.
                Err(ErrorCode::HttpResponseTimeout) => Err(Error::QuotaExceeded(
                    "the peer sends less than 30 KiB a minute, which is the limit".into(),
                )),
                Err(code) => Err(convert::http_error(&code)),
            },
            Self::Host(result) => result.await.map_err(convert::error_from_wit),
            Self::Caller => Ok(()),
        }
    }
}

/// The engine's body over a component-model stream.
pub(crate) struct WasiBody {
    /// Read already, to see what it is.
    ahead: Vec<u8>,
    stream: StreamReader<u8>,
    verdict: Option<Verdict>,
}

impl WasiBody {
    fn new(stream: StreamReader<u8>, verdict: Verdict) -> Self {
        Self {
            ahead: Vec::new(),
            stream,
            verdict: Some(verdict),
        }
    }

    /// The body of an answer.
    pub(crate) fn of_answer(
        stream: StreamReader<u8>,
        trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    ) -> Self {
        Self::new(stream, Verdict::Answer(trailers))
    }

    /// The body of a request.
    pub(crate) fn of_request(
        stream: StreamReader<u8>,
        trailers: FutureReader<Result<Option<Trailers>, ErrorCode>>,
    ) -> Self {
        Self::new(stream, Verdict::Request(trailers))
    }

    /// A blob from the store, or what the host made of another body.
    pub(crate) fn of_host(
        stream: StreamReader<u8>,
        result: FutureReader<Result<(), types::Error>>,
    ) -> Self {
        Self::new(stream, Verdict::Host(result))
    }

    /// What a caller of an export gave.
    pub(crate) fn of_caller(stream: StreamReader<u8>) -> Self {
        Self::new(stream, Verdict::Caller)
    }

    /// The stream itself, for somebody who counts what comes. Not for a body that
    /// was read from.
    pub(crate) fn into_stream(self) -> Result<StreamReader<u8>> {
        if self.ahead.is_empty() {
            Ok(self.stream)
        } else {
            Err(Error::Internal(
                "a body was passed on after it was read".into(),
            ))
        }
    }

    /// Hands the stream to `consume`, so that it passes through untouched, then
    /// waits for the verdict. Not for a body that was read from.
    pub(crate) async fn pass<R>(
        mut self,
        consume: impl AsyncFnOnce(StreamReader<u8>) -> Result<R>,
    ) -> Result<R> {
        if !self.ahead.is_empty() {
            return Err(Error::Internal(
                "a body was passed on after it was read".into(),
            ));
        }
        let consumed = consume(self.stream).await?;
        match self.verdict.take() {
            Some(verdict) => verdict.wait().await.map(|()| consumed),
            None => Ok(consumed),
        }
    }

    /// This body decompressed by the host; itself if it is not compressed.
    pub(crate) async fn decompressed(mut self) -> Result<Self> {
        let mut head = Vec::new();
        while head.len() < Compression::HEAD_BYTES
            && let Some(bytes) = self.chunk().await?
        {
            head.extend(bytes);
        }
        self.ahead = head;
        if Compression::of(&self.ahead) == Compression::Plain {
            return Ok(self);
        }
        let (writer, reader) = wit_stream::new();
        let (stream, result) = codec::decompress(reader);
        spawn_local(feed(self, writer));
        Ok(Self::of_host(stream, result))
    }
}

/// Writes a body into a stream. If it is cut the stream just ends, and what reads it
/// finds that bytes are missing.
async fn feed(mut body: WasiBody, mut writer: StreamWriter<u8>) {
    while let Ok(Some(bytes)) = body.chunk().await {
        if !writer.write_all(bytes).await.is_empty() {
            return;
        }
    }
}

impl Body for WasiBody {
    type Error = Error;

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        if !self.ahead.is_empty() {
            return Ok(Some(std::mem::take(&mut self.ahead)));
        }
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
