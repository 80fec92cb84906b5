//! Whole responses and the headers responses share (§1.2 of the contract).

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_TYPE, HeaderName, SERVER},
};
use serde::Serialize;

use crate::{failure::Failure, version::MAX_API_VERSION};

const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const OSTYPE: HeaderName = HeaderName::from_static("ostype");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");

/// A response whose body is at hand.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// No body, and no content type.
    pub(crate) fn empty(status: StatusCode) -> Self {
        Self {
            status,
            headers: HeaderMap::new(),
            body: Vec::new(),
        }
    }

    /// Plain text.
    pub(crate) fn text(status: StatusCode, body: Vec<u8>) -> Self {
        let mut reply = Self::empty(status);
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        reply.headers.insert(CONTENT_TYPE, text);
        reply.body = body;
        reply
    }

    /// The same with another status.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// 200 with compact JSON and a newline; HTML characters stay as they are.
    ///
    /// # Errors
    /// 500 if `value` is nothing JSON can hold, which would be a mistake in this crate.
    pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Failure> {
        let mut body = Vec::with_capacity(1024);
        serde_json::to_writer(&mut body, value).map_err(Failure::unwritable)?;
        body.push(b'\n');
        Ok(Self::json_text(body))
    }

    /// 200 with JSON that is written already.
    pub(crate) fn json_text(body: Vec<u8>) -> Self {
        let mut reply = Self::empty(StatusCode::OK);
        reply.headers.insert(CONTENT_TYPE, json_type());
        reply.body = body;
        reply
    }
}

/// Exactly this, no charset: the CLI compares the whole value.
pub(crate) fn json_type() -> HeaderValue {
    HeaderValue::from_static("application/json")
}

/// What every response to a known path says, errors included. `engine` is the engine's version.
pub(crate) fn add_identity(headers: &mut HeaderMap, engine: &str) {
    headers.insert(API_VERSION, HeaderValue::from_static(MAX_API_VERSION));
    headers.insert(OSTYPE, HeaderValue::from_static("linux"));
    // Clients parse this form; a version that is no header text (impossible for ours) is left out.
    if let Ok(server) = HeaderValue::try_from(format!("Docker/{engine} (linux)")) {
        headers.insert(SERVER, server);
    }
}

/// What responses say once the version is accepted.
pub(crate) fn add_features(headers: &mut HeaderMap) {
    headers.insert(EXPERIMENTAL, HeaderValue::from_static("false"));
}
