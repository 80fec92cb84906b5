//! What an answer that is no success means, in the words of dockerd's containerd
//! store.

use std::{fmt, time::Duration};

use http::{HeaderMap, Method, StatusCode, header::RETRY_AFTER};
use serde::Deserialize;
use serde_json::value::RawValue;
use strata_oci::{json, printable, timestamp};

use crate::{
    Body, Clock, Disposition, Fault, LentError, RegistryError, address,
    wire::{self, Answer},
};

/// Bytes of an error body that are read. Registries send a few hundred.
const MAX_ERROR_BYTES: usize = 64 * 1024;
/// Time for an error body.
const ERROR_TIME: Duration = Duration::from_secs(5);
/// Characters of a registry's own words that are passed on.
const MAX_WORDS: usize = 1024;
/// Errors of one body that are passed on.
const MAX_ERRORS: usize = 8;

/// An answer that is no success, and what the peer says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// The code of the first error in the body, in capitals, such as `BLOB_UNKNOWN`.
    pub code: Option<String>,
    /// What the body says to people.
    pub said: Option<String>,
    /// How long the peer wants the client to wait.
    pub retry_after: Option<Duration>,
    /// What was asked how.
    pub method: Method,
    /// Where, without the query.
    pub from: String,
}

/// What a refusal means, by its status and code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// Wait.
    RateLimited,
    /// Credentials are missing or wrong.
    Unauthorized,
    /// The credentials do not allow it.
    Denied,
    /// No such repository, manifest or blob.
    NotFound,
    /// A name, tag or digest that the registry cannot read.
    InvalidArgument,
    /// A manifest that the registry does not take.
    ManifestInvalid,
    /// The registry does not do that.
    Unsupported,
    /// Anything else: the registry is not able to, or does not say why.
    Unavailable,
}

/// Reads what the peer said and makes an error of it.
pub(crate) async fn read<B: Body<Error: LentError>, C: Clock>(
    clock: &C,
    method: &Method,
    mut answer: Answer<B>,
) -> RegistryError<B::Error> {
    let said = match *method {
        Method::HEAD => Said::default(),
        _ => Said::parse(&error_body(clock, &mut answer.body).await),
    };
    let retry_after = retry_after(&answer.headers, clock.now().0);
    let status = answer.status;
    RegistryError {
        disposition: disposition(status, retry_after),
        status: Some(status),
        is_complete: said.text.is_some(),
        ..RegistryError::open(Fault::Refused(Refusal {
            status,
            code: said.code,
            said: said.text,
            retry_after,
            method: method.clone(),
            from: address::shown(&answer.from),
        }))
    }
}

/// What a body says about an error. One that is too long, or does not come, says nothing: the
/// status tells enough.
pub(crate) async fn error_body<B: Body, C: Clock>(clock: &C, body: &mut B) -> Vec<u8> {
    let read = wire::read(clock, body, MAX_ERROR_BYTES, ERROR_TIME).await;
    read.ok().unwrap_or_default()
}

/// Only what passes is tried again: an overload, a restart, a slow request.
fn disposition(status: StatusCode, retry_after: Option<Duration>) -> Disposition {
    match status.as_u16() {
        408 | 429 | 500..=599 => retry_after.map_or(Disposition::Retry, Disposition::RetryAfter),
        _ => Disposition::GiveUp,
    }
}

impl Refusal {
    /// What it means.
    pub fn kind(&self) -> RefusalKind {
        if self.status.is_server_error() {
            return RefusalKind::Unavailable;
        }
        match (self.status.as_u16(), self.code.as_deref()) {
            (429, _) | (_, Some("TOOMANYREQUESTS")) => RefusalKind::RateLimited,
            (401, _) | (_, Some("UNAUTHORIZED")) => RefusalKind::Unauthorized,
            (403, _) | (_, Some("DENIED")) => RefusalKind::Denied,
            (404, _) | (_, Some("NAME_UNKNOWN" | "MANIFEST_UNKNOWN" | "BLOB_UNKNOWN")) => {
                RefusalKind::NotFound
            }
            (
                _,
                Some(
                    "NAME_INVALID" | "TAG_INVALID" | "DIGEST_INVALID" | "PAGINATION_NUMBER_INVALID",
                ),
            ) => RefusalKind::InvalidArgument,
            (_, Some("MANIFEST_INVALID")) => RefusalKind::ManifestInvalid,
            (405 | 501, _) | (_, Some("UNSUPPORTED")) => RefusalKind::Unsupported,
            _ => RefusalKind::Unavailable,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Some(said) => f.write_str(said),
            None => write!(
                f,
                "unexpected status from {} request to {}: {}",
                self.method, self.from, self.status
            ),
        }
    }
}

/// `Retry-After`, in seconds or as a date; a date that has passed is now.
fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = http_date(value)?.saturating_sub(now);
    Some(Duration::from_secs(u64::try_from(wait).unwrap_or(0)))
}

/// Unix seconds of `Sun, 06 Nov 1994 08:49:37 GMT`, the one form HTTP dates are
/// sent in.
fn http_date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let [_, day, month, year, time, "GMT"] = words[..] else {
        return None;
    };
    let month = 1 + MONTHS.iter().position(|&name| name == month)?;
    let (seconds, _) = timestamp::parse_rfc3339(&format!("{year}-{month:02}-{day:0>2}T{time}Z"))?;
    Some(seconds)
}

/// What an error body says.
#[derive(Default)]
struct Said {
    /// The first error's code.
    code: Option<String>,
    /// The whole text for people.
    text: Option<String>,
}

impl Said {
    /// Understands a registry's `errors`, a token server's `details`, OAuth2's
    /// `error_description` and a proxy's `message`. Anything else, HTML above
    /// all, says nothing.
    fn parse(bytes: &[u8]) -> Self {
        let body: ErrorBody = json::from_slice(bytes).unwrap_or_default();
        let errors = body.errors.as_deref();
        let errors: Option<Vec<Box<RawValue>>> =
            errors.and_then(|errors| json::from_slice(errors.get().as_bytes()).ok());
        if let Some(errors) = errors
            && !errors.is_empty()
        {
            let errors = errors.iter().take(MAX_ERRORS);
            let errors: Vec<OneError> = errors
                .map(|error| json::from_slice(error.get().as_bytes()).unwrap_or_default())
                .collect();
            let texts: Vec<String> = errors.iter().filter_map(OneError::text).collect();
            let code = errors.first().and_then(|first| words(&first.code));
            return Self {
                code: code.map(|code| code.to_ascii_uppercase()),
                text: (!texts.is_empty())
                    .then(|| format!("error from registry: {}", texts.join("; "))),
            };
        }
        let text = match words(&body.details) {
            Some(details) => Some(format!("authentication required - {details}")),
            None => words(&body.error_description)
                .or_else(|| words(&body.message))
                .or_else(|| words(&body.error))
                .map(|message| format!("error from registry: {message}")),
        };
        Self { code: None, text }
    }
}

/// A body whose members are of any type: each server has its own.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorBody {
    errors: Option<Box<RawValue>>,
    details: Option<Box<RawValue>>,
    error_description: Option<Box<RawValue>>,
    message: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

/// One of `errors`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct OneError {
    code: Option<Box<RawValue>>,
    message: Option<Box<RawValue>>,
    detail: Option<Box<RawValue>>,
}

impl OneError {
    /// `<message>[ - <detail>]`; without a message the code in words.
    fn text(&self) -> Option<String> {
        let message = words(&self.message).or_else(|| {
            let code = words(&self.code)?;
            Some(code.to_ascii_lowercase().replace('_', " "))
        })?;
        Some(match words(&self.detail) {
            Some(detail) => format!("{message} - {detail}"),
            None => message,
        })
    }
}

/// A non-empty string, made fit to be shown.
fn words(value: &Option<Box<RawValue>>) -> Option<String> {
    let text: String = json::from_slice(value.as_deref()?.get().as_bytes()).ok()?;
    let text: String = text.chars().take(MAX_WORDS).collect();
    let text = printable(&text);
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_bodies_are_read_whatever_their_shape() {
        for (body, code, text) in [
            (
                r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied","detail":[{"Type":"repository"}]}]}"#,
                Some("DENIED"),
                Some("error from registry: requested access to the resource is denied"),
            ),
            (
                r#"{"errors":[{"code":"denied","message":"no","detail":"pay first"},{"code":"NAME_UNKNOWN"}]}"#,
                Some("DENIED"),
                Some("error from registry: no - pay first; name unknown"),
            ),
            (
                r#"{"errors":[{"code":"HOUSE_RULE","message":"a\u001b[31mb"}]}"#,
                Some("HOUSE_RULE"),
                Some("error from registry: a [31mb"),
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                None,
                Some("authentication required - incorrect username or password"),
            ),
            (
                r#"{"error":"invalid_grant","error_description":"expired"}"#,
                None,
                Some("error from registry: expired"),
            ),
            (
                r#"{"message":"no route"}"#,
                None,
                Some("error from registry: no route"),
            ),
            // As Go reads it.
            (
                r#"{"errors":null,"Errors":[{"CODE":"x","Code":"DENIED","Message":"no\ud800","message":null,"detail":7}]}"#,
                Some("DENIED"),
                Some("error from registry: no\u{fffd}"),
            ),
            (
                r#"{"message":"sooner","MESSAGE":"later"}"#,
                None,
                Some("error from registry: later"),
            ),
            (r#"{"errors":[null]}"#, None, None),
            ("null", None, None),
            (r#"{"errors":[]}"#, None, None),
            (r#"{"errors":[7]}"#, None, None),
            ("<html>captive</html>", None, None),
            ("", None, None),
            ("[1]", None, None),
        ] {
            let said = Said::parse(body.as_bytes());
            assert_eq!(said.code.as_deref(), code, "{body}");
            assert_eq!(said.text.as_deref(), text, "{body}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = 784_111_777 - 30;
        for (value, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sun, 6 Nov 1994 08:49:37 GMT", Some(30)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nox 1994 08:49:37 GMT", None),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            let wait = retry_after(&headers, now).map(|wait| wait.as_secs());
            assert_eq!(wait, expected, "{value}");
        }
    }
}
