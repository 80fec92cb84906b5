//! What a URL answers with. No credentials are sent, ever.

use std::fmt;

use http::{HeaderValue, StatusCode, Uri, header::CONTENT_LENGTH};
use percent_encoding::{AsciiSet, utf8_percent_encode};
use strata_oci::printable;
use strata_registry::{Download, DownloadError, Fault, MAX_REDIRECTS, RedirectFault, address};

use crate::{Engine, Error, Host, Result};

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
        let (clock, settings) = (&self.clock, &self.settings);
        let (version, may_lead_anywhere) = (&settings.version, settings.allow_unsafe_redirects);
        let got = Download::get(&self.transport, clock, version, uri, may_lead_anywhere).await;
        let mut got = got.map_err(|error| refused(uri, error))?;
        if got.status.is_success() {
            let length = got.headers.get(CONTENT_LENGTH).map(HeaderValue::to_str);
            let length = length.and_then(|length| length.ok()?.trim().parse().ok());
            return Ok((got.body, length));
        }
        let mut reason = got.reason(clock).await;
        reason.truncate(SHOWN_BYTES);
        let message = format!(
            "failed to GET {} with status {}: {}",
            address::shown(&got.from),
            got.status,
            printable(&String::from_utf8_lossy(&reason))
        );
        Err(match got.status {
            StatusCode::NOT_FOUND => Error::NotFound(message),
            StatusCode::BAD_REQUEST => Error::InvalidArgument(message),
            StatusCode::UNAUTHORIZED => Error::Unauthorized(message),
            StatusCode::FORBIDDEN => Error::Denied(message),
            _ => Error::Unavailable(message),
        })
    }
}

/// Why there is no answer.
fn refused(uri: &Uri, error: DownloadError<Error>) -> Error {
    let failed = |reason| format!("failed to GET {}: {reason}", address::shown(&error.at));
    let redirects = |why: &dyn fmt::Display| {
        let from = address::shown(&error.at);
        Error::Denied(format!("{from} redirects {why}"))
    };
    match error.fault {
        Fault::Lent(Error::Unavailable(reason)) => Error::Unavailable(failed(reason)),
        Fault::Lent(Error::Denied(reason)) => Error::Denied(match &error.redirected_by {
            Some(from) => format!(
                "{} redirects to {}, which is not allowed: {}",
                address::shown(from),
                origin(&error.at),
                failed(reason)
            ),
            None => failed(reason),
        }),
        Fault::Redirect { why, .. } => match why {
            RedirectFault::Downgrade { to } => redirects(&format_args!(
                "to {}, from https to plain http, which is not allowed",
                origin(&to)
            )),
            RedirectFault::TooOften => Error::Unavailable(format!(
                "failed to GET {}: stopped after {MAX_REDIRECTS} redirects",
                address::shown(uri)
            )),
            why @ (RedirectFault::Unusable | RedirectFault::Circle) => redirects(&why),
        },
        fault => {
            let text = fault.to_string();
            Error::of_registry(fault, text)
        }
    }
}

/// Scheme, host and port.
fn origin(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}
