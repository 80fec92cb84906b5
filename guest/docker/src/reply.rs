//! What responses have in common: their headers, and how JSON is written.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{HeaderName, SERVER},
};
use serde::Serialize;
use strata_http::Reply;

use crate::{failure::Failure, version::MAX_API_VERSION};

const API_VERSION: HeaderName = HeaderName::from_static("api-version");
const OSTYPE: HeaderName = HeaderName::from_static("ostype");
const EXPERIMENTAL: HeaderName = HeaderName::from_static("docker-experimental");

/// 200 with compact JSON and a newline; HTML characters stay as they are.
///
/// # Errors
/// 500 if `value` is nothing JSON can hold, which would be a mistake in this crate.
pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<Reply, Failure> {
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, value).map_err(Failure::unwritable)?;
    body.push(b'\n');
    Ok(Reply::json(StatusCode::OK, body))
}

/// The headers of every response to a known path, errors included. `engine` is the engine's version.
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
