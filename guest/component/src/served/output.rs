//! One response, as the Docker face writes it.

use futures::channel::oneshot;
use http::{HeaderMap, StatusCode};
use strata_docker::{Gone, Output};
use wasip3::{
    http::types::{ErrorCode, Fields, Response},
    wit_future, wit_stream,
};
use wit_bindgen::{StreamReader, StreamWriter};

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

/// Sends the head to `handle`, then the body to the client.
pub(super) struct WasiOutput {
    head: Option<oneshot::Sender<Head>>,
    body: Option<StreamWriter<u8>>,
}

impl WasiOutput {
    pub(super) fn new(head: oneshot::Sender<Head>) -> Self {
        Self {
            head: Some(head),
            body: None,
        }
    }
}

impl Output for WasiOutput {
    async fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), Gone> {
        let (writer, reader) = wit_stream::new();
        self.body = Some(writer);
        let head = Head {
            status,
            headers,
            body: reader,
        };
        let sender = self.head.take().ok_or(Gone)?;
        sender.send(head).map_err(|_| Gone)
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        let Some(body) = &mut self.body else {
            return Err(Gone);
        };
        if body.write_all(bytes).await.is_empty() {
            Ok(())
        } else {
            Err(Gone)
        }
    }
}
