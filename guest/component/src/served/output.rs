//! One response, as the Docker face writes it.

use std::{rc::Rc, time::Duration};

use futures::{channel::oneshot, lock::Mutex};
use http::{HeaderMap, StatusCode};
use strata_docker::{Gone, Output};
use strata_engine::Clock as _;
use wasip3::{
    http::types::{ErrorCode, Fields, Response},
    wit_future, wit_stream,
};
use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

use crate::lent::HostClock;

/// What `handle` returns to the host.
pub(super) struct Head {
    status: StatusCode,
    headers: HeaderMap,
    body: StreamReader<u8>,
}

impl Head {
    pub(super) fn into_response(self) -> Result<Response, ErrorCode> {
        let entries: Vec<(String, Vec<u8>)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
            .collect();
        let fields = Fields::from_list(&entries)
            .map_err(|error| ErrorCode::InternalError(Some(error.to_string())))?;
        let (trailers, trailers_reader) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _sent) = Response::new(fields, Some(self.body), trailers_reader);
        response
            .set_status_code(self.status.as_u16())
            .map_err(|()| ErrorCode::InternalError(Some("invalid status".into())))?;
        Ok(response)
    }
}

/// How often a silent response looks whether its client is still there.
const PROBE: Duration = Duration::from_millis(500);

/// Sends the head to `handle`, then the body to the client.
pub(super) struct WasiOutput {
    head: Option<oneshot::Sender<Head>>,
    /// Locked while a write or a probe is under way; `None` before the head.
    body: Rc<Mutex<Option<StreamWriter<u8>>>>,
}

/// Watches a response's client.
pub(super) struct Watch(Rc<Mutex<Option<StreamWriter<u8>>>>);

impl Watch {
    /// Resolves when the client has gone away. A write learns that by itself; this
    /// is for work that is silent, a registry that hangs for example.
    pub(super) async fn gone(self) {
        loop {
            HostClock.sleep(PROBE).await;
            // Locked: a write is under way and will see it.
            let Some(mut body) = self.0.try_lock() else {
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
    pub(super) fn new(head: oneshot::Sender<Head>) -> Self {
        Self {
            head: Some(head),
            body: Rc::default(),
        }
    }

    /// See [`Watch`].
    pub(super) fn watch(&self) -> Watch {
        Watch(Rc::clone(&self.body))
    }
}

impl Output for WasiOutput {
    async fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), Gone> {
        let (writer, reader) = wit_stream::new();
        *self.body.lock().await = Some(writer);
        let head = Head {
            status,
            headers,
            body: reader,
        };
        let sender = self.head.take().ok_or(Gone)?;
        sender.send(head).map_err(|_| Gone)
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let mut body = self.body.lock().await;
        let writer = body.as_mut().ok_or(Gone)?;
        if writer.write_all(bytes).await.is_empty() {
            Ok(())
        } else {
            Err(Gone)
        }
    }
}
