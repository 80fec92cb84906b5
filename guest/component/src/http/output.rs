//! One response, as a face writes it.

use std::{rc::Rc, time::Duration};

use futures::{channel::oneshot, lock::Mutex};
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH};
use strata_engine::{Clock as _, Error};
use strata_http::{Gone, Output};
use wasip3::{
    http::types::{ErrorCode, Fields, Response, Trailers},
    wit_future, wit_stream,
};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamResult, StreamWriter};

use crate::{
    exports::relay,
    imports::{HostClock, WasiBody},
};

/// What `handle` returns to the host.
pub(super) struct ResponseHead {
    status: StatusCode,
    headers: HeaderMap,
    body: StreamReader<u8>,
    trailers: FutureReader<TrailersResult>,
}

/// What follows a body: trailers, of which there are none, or why it breaks off.
type TrailersResult = Result<Option<Trailers>, ErrorCode>;

impl ResponseHead {
    pub(super) fn into_response(self) -> Result<Response, ErrorCode> {
        let entries: Vec<(String, Vec<u8>)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        let fields = Fields::from_list(&entries)
            .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (response, _sent) = Response::new(fields, Some(self.body), self.trailers);
        response
            .set_status_code(self.status.as_u16())
            .map_err(|()| ErrorCode::InternalError(Some("invalid status".into())))?;
        Ok(response)
    }
}

/// Bytes written at once. The host takes what is offered, and holds it until the client reads.
const PIECE: usize = 32 * 1024;

/// How often a silent response looks whether its client is still there.
const PROBE: Duration = Duration::from_millis(500);

/// Sends the head to `handle`, then the body to the client.
pub(super) struct WasiOutput {
    head: Option<oneshot::Sender<ResponseHead>>,
    /// Locked while a write or a probe is under way; `None` before the head.
    body: Rc<Mutex<Option<StreamWriter<u8>>>>,
    /// Writes "no trailers" when it is dropped.
    trailers: Option<FutureWriter<TrailersResult>>,
    /// Wakes the watch when the response turns out to stream.
    streams: Option<oneshot::Sender<()>>,
}

/// Watches the client of a response that streams.
pub(super) struct Watch {
    body: Rc<Mutex<Option<StreamWriter<u8>>>>,
    streams: oneshot::Receiver<()>,
}

impl Watch {
    /// Resolves when the client has gone away. A write learns that by itself; this
    /// is for work that is silent, a registry that hangs for example.
    pub(super) async fn gone(self) {
        // A whole response is written at once: a timer would be its largest cost.
        if self.streams.await.is_err() {
            return std::future::pending().await;
        }
        loop {
            HostClock.sleep(PROBE).await;
            // Locked: a write is under way and will see it.
            let Some(mut body) = self.body.try_lock() else {
                continue;
            };
            if let Some(writer) = body.as_mut() {
                let (result, _) = writer.write(Vec::new()).await;
                if result == StreamResult::Dropped {
                    return;
                }
            }
        }
    }
}

impl WasiOutput {
    pub(super) fn new(head: oneshot::Sender<ResponseHead>) -> Self {
        Self {
            head: Some(head),
            body: Rc::default(),
            trailers: None,
            streams: None,
        }
    }

    /// See [`Watch`].
    pub(super) fn watch(&mut self) -> Watch {
        let (sender, streams) = oneshot::channel();
        self.streams = Some(sender);
        Watch {
            body: Rc::clone(&self.body),
            streams,
        }
    }
}

/// What is left unwritten was not taken.
fn written(rest: Vec<u8>) -> Result<(), Gone> {
    match rest.is_empty() {
        true => Ok(()),
        false => Err(Gone),
    }
}

impl Output for WasiOutput {
    type Body = WasiBody;

    async fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), Gone> {
        let (writer, reader) = wit_stream::new();
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        self.trailers = Some(trailers);
        *self.body.lock().await = Some(writer);
        if let Some(streams) = self.streams.take()
            && !headers.contains_key(CONTENT_LENGTH)
        {
            // The watch lives as long as this output.
            let _ = streams.send(());
        }
        let head = ResponseHead {
            status,
            headers,
            body: reader,
            trailers: trailers_reader,
        };
        let sender = self.head.take().ok_or(Gone)?;
        sender.send(head).map_err(|_| Gone)
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let mut body = self.body.lock().await;
        let writer = body.as_mut().ok_or(Gone)?;
        if bytes.len() <= PIECE {
            return written(writer.write_all(bytes).await);
        }
        for piece in bytes.chunks(PIECE) {
            written(writer.write_all(piece.to_vec()).await)?;
        }
        Ok(())
    }

    async fn copy(&mut self, body: WasiBody, length: u64) -> Result<Result<(), Error>, Gone> {
        let mut open = self.body.lock().await;
        let writer = open.as_mut().ok_or(Gone)?;
        match relay(body, length, writer).await {
            Err(Error::Cancelled) => Err(Gone),
            relayed => Ok(relayed),
        }
    }

    async fn abort(&mut self) {
        // The verdict first: a body that just ends would pass for a whole one.
        if let Some(trailers) = self.trailers.take() {
            let broken = ErrorCode::InternalError(Some("the response broke off".into()));
            let _ = trailers.write(Err(broken)).await;
        }
    }
}
