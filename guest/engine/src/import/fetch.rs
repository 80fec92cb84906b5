//! What a URL answers with. No credentials are sent, ever.

use http::{
    HeaderMap, HeaderValue, Method, StatusCode, Uri,
    header::{ACCEPT_ENCODING, CONTENT_LENGTH, LOCATION, USER_AGENT},
};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use strata_oci::printable;

use super::reach;
use crate::{
    Body, Clock, Engine, Error, Host, Reach, Request, RequestBody, Response, Result, Transport,
    registry::{MAX_REDIRECTS, address, error_body},
};

/// Bytes of a refusal that are shown: enough for its reason.
const SHOWN_BYTES: usize = 1024;
/// What is encoded in a path or query beside all that is not ASCII.
const ENCODED: &AsciiSet = &AsciiSet::EMPTY.add(b' ');

/// Reads a URL as `docker import` takes it; without scheme it is `http`. Spaces and what is
/// not ASCII get encoded.
///
/// # Errors
/// [`Error::InvalidArgument`] if it is none, has another scheme, or has credentials in it,
/// which would not be sent.
pub(super) fn parse(url: &str) -> Result<Uri> {
    let refuse = |why: &str| Err(Error::InvalidArgument(format!("invalid import URL: {why}")));
    let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return refuse("only http and https can be imported from");
    }
    // What follows is never sent (RFC 9110 §7.1).
    let rest = rest.split('#').next().unwrap_or_default();
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return refuse("it has credentials in it, which are not sent; download it another way");
    }
    let path = utf8_percent_encode(path, ENCODED);
    match address::web(&format!("{scheme}://{authority}{path}")) {
        Some(uri) => Ok(uri),
        None => refuse("it does not parse"),
    }
}

impl<H: Host> Engine<H> {
    /// Asks for a URL and follows its redirects; the body, and its length if that is said.
    pub(super) async fn fetch(&self, uri: &Uri) -> Result<(H::Body, Option<u64>)> {
        let mut at = uri.clone();
        let mut reach = Reach::Any;
        let mut from: Option<Uri> = None;
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .get(&at, reach)
                .await
                .map_err(|error| match (error, &from) {
                    (Error::Denied(reason), Some(from)) => Error::Denied(format!(
                        "{} redirects to {}, which is not allowed: {reason}",
                        address::shown(from),
                        origin(&at)
                    )),
                    (error, _) => error,
                })?;
            let Some(location) = redirection(&response) else {
                return answer(&self.clock, &at, response).await;
            };
            let target = self.allowed(&at, &location)?;
            if !reach::is_same_place(&at, &target) && !self.settings.allow_unsafe_redirects {
                reach = Reach::PUBLIC;
            }
            from = Some(at);
            at = target;
        }
        Err(Error::Unavailable(format!(
            "failed to GET {}: stopped after {MAX_REDIRECTS} redirects",
            address::shown(uri)
        )))
    }

    async fn get(&self, uri: &Uri, reach: Reach) -> Result<Response<H::Body>> {
        let mut headers = HeaderMap::new();
        let agent = HeaderValue::from_str(&format!("strata/{}", self.settings.version));
        headers.insert(
            USER_AGENT,
            agent.unwrap_or(HeaderValue::from_static("strata")),
        );
        // A tar that is compressed is stored as it is; nothing on the way may add to that.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = Request {
            method: Method::GET,
            uri: uri.clone(),
            headers,
            body: RequestBody::Empty,
            reach,
        };
        let sent = self.transport.send(request).await;
        let explained = |reason| format!("failed to GET {}: {reason}", address::shown(uri));
        sent.map_err(|error| match error {
            Error::Unavailable(reason) => Error::Unavailable(explained(reason)),
            Error::Denied(reason) => Error::Denied(explained(reason)),
            error => error,
        })
    }

    /// Where a redirect leads, if it may.
    fn allowed(&self, from: &Uri, location: &str) -> Result<Uri> {
        let refuse = |why: &str| {
            let from = address::shown(from);
            Err(Error::Denied(format!("{from} redirects {why}")))
        };
        let Some(target) = address::resolve(from, location) else {
            return refuse("to an address that cannot be used");
        };
        if self.settings.allow_unsafe_redirects {
            return Ok(target);
        }
        if from.scheme_str() == Some("https") && target.scheme_str() != Some("https") {
            let origin = origin(&target);
            return refuse(&format!(
                "to {origin}, from https to plain http, which is not allowed"
            ));
        }
        Ok(target)
    }
}

/// The `Location` of an answer that is a redirect.
fn redirection<B>(response: &Response<B>) -> Option<String> {
    if !matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let location = response.headers.get(LOCATION)?;
    Some(address::written(location))
}

/// The body of an answer that is no redirect.
async fn answer<B: Body, C: Clock>(
    clock: &C,
    uri: &Uri,
    response: Response<B>,
) -> Result<(B, Option<u64>)> {
    let Response {
        status,
        headers,
        mut body,
        ..
    } = response;
    if status.is_success() {
        let length = headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
        let length = length.and_then(|length| length.ok()?.trim().parse().ok());
        return Ok((body, length));
    }
    let mut reason = error_body(clock, &mut body).await;
    reason.truncate(SHOWN_BYTES);
    let message = format!(
        "failed to GET {} with status {status}: {}",
        address::shown(uri),
        printable(&String::from_utf8_lossy(&reason))
    );
    Err(match status {
        StatusCode::NOT_FOUND => Error::NotFound(message),
        StatusCode::BAD_REQUEST => Error::InvalidArgument(message),
        StatusCode::UNAUTHORIZED => Error::Unauthorized(message),
        StatusCode::FORBIDDEN => Error::Denied(message),
        _ => Error::Unavailable(message),
    })
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}
