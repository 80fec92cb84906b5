//! Answers the host gives itself, in the form the component's have.

mod refusal;

use bytes::Bytes;
use http::{
    HeaderValue, Response, StatusCode,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};
use http_body_util::{BodyExt as _, Full};
use wasmtime_wasi_http::WasiBody;

pub(super) use refusal::Refusal;

impl Refusal {
    /// The answer. After one to a head that could not be read, nothing that follows can be either.
    pub(super) fn response(&self, last: bool) -> Response<WasiBody> {
        let mut response = message(self.status, &self.message);
        let headers = response.headers_mut();
        if last {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// `{"message": …}`, as dockerd words errors.
pub(super) fn message(status: StatusCode, text: &str) -> Response<WasiBody> {
    let message = serde_json::json!({ "message": text });
    let body = Full::new(Bytes::from(format!("{message}\n")))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}
