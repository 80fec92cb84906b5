//! A request that failed: its status and its message, as dockerd chooses them.

use std::fmt;

use http::{StatusCode, header::RETRY_AFTER};
use strata_engine::Error;
use strata_http::{Malformed, Reply, Unreadable};
use strata_oci::printable;

/// Why a request fails, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    status: StatusCode,
    /// The text that people read after `Error response from daemon: `.
    pub(crate) message: String,
    /// Seconds to wait, passed on from a registry.
    retry_after: Option<u32>,
    plain_text: bool,
}

impl Failure {
    /// A failure with this status.
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
            plain_text: false,
        }
    }

    /// A 400 with this message.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 500: what was to be answered is nothing JSON can hold, which would be a mistake in this crate.
    #[expect(clippy::needless_pass_by_value, reason = "maps errors")]
    pub(crate) fn unwritable(error: serde_json::Error) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }

    /// 400 for JSON that is not what it should be.
    pub(crate) fn json(error: &impl fmt::Display) -> Self {
        Self::invalid(format!("invalid JSON: {error}"))
    }

    /// 500: the shell read an archive as a whole, which is our own fault.
    pub(crate) fn not_streamed() -> Self {
        let message = "the archive was read as a whole instead of being streamed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// A 404 with this message.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// A 409 with this message.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, message)
    }

    /// 501 for an operation of the API this version of strata does not have.
    pub(crate) fn not_implemented(operation: &str) -> Self {
        Self::new(
            StatusCode::NOT_IMPLEMENTED,
            format!("{operation} is not implemented by this version of strata"),
        )
    }

    /// The same, saying what failed.
    pub(crate) fn during(self, what: &str) -> Self {
        Self {
            message: format!("{what}: {}", self.message),
            ..self
        }
    }

    /// The same for a client too old to read JSON errors.
    pub(crate) fn in_plain_text(self) -> Self {
        Self {
            plain_text: true,
            ..self
        }
    }

    /// As a response, without the headers every response has. Clients print the message as it is, so nothing
    /// in it drives a terminal, whoever wrote what it quotes.
    pub(crate) fn reply(&self) -> Reply {
        let message = printable(&self.message);
        let mut reply = if self.plain_text {
            // As Go's `http.Error` writes it.
            Reply::text(self.status, format!("{message}\n").into_bytes())
        } else {
            let mut body = Vec::with_capacity(self.message.len() + 16);
            body.extend_from_slice(b"{\"message\":");
            // Writing a string to a Vec cannot fail.
            let _ = serde_json::to_writer(&mut body, &message);
            body.extend_from_slice(b"}\n");
            Reply::json(self.status, body)
        };
        if let Some(seconds) = self.retry_after {
            reply.headers.insert(RETRY_AFTER, seconds.into());
        }
        reply
    }
}

impl From<&Malformed> for Failure {
    /// Words it as Go's libraries do.
    fn from(malformed: &Malformed) -> Self {
        Self::invalid(match malformed {
            Malformed::Escape(escape) => format!("invalid URL escape \"{escape}\""),
            Malformed::Semicolon => "invalid semicolon separator in query".to_owned(),
        })
    }
}

impl From<Unreadable> for Failure {
    /// Words it as dockerd does.
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::NoContentType => {
                Self::invalid("malformed Content-Type header (): mime: no media type")
            }
            Unreadable::ContentType(given) => Self::invalid(format!(
                "unsupported Content-Type header ({given}): must be 'application/json'"
            )),
            Unreadable::Blank => Self::json(&"got EOF while reading request body"),
            Unreadable::AfterValue => Self::invalid("unexpected content after JSON"),
            Unreadable::Json(error) => Self::json(&error),
        }
    }
}

impl From<Error> for Failure {
    /// The one place where an engine error gets its status.
    fn from(error: Error) -> Self {
        let status = match &error {
            // What is over a bound is the request's fault, or its image's; and whoever wrote a document that
            // is none did so elsewhere.
            Error::InvalidArgument(_)
            | Error::Unsupported(_)
            | Error::QuotaExceeded(_)
            | Error::ManifestInvalid(_) => StatusCode::BAD_REQUEST,
            Error::NotFound(_) | Error::PlatformMismatch(_) => StatusCode::NOT_FOUND,
            Error::Conflict(_) => StatusCode::CONFLICT,
            // dockerd's status. On 401 the CLI would ask for a password and wait.
            Error::LoginMissing(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Error::Denied(_) => StatusCode::FORBIDDEN,
            Error::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
            Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            // dockerd's status: neither the client nor the image is to blame for what a registry sends.
            Error::DigestMismatch { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            Error::Damaged(_) | Error::NoSpace(_) | Error::Cancelled | Error::Internal(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        let retry_after = match &error {
            Error::RateLimited { retry_after, .. } => *retry_after,
            _ => None,
        };
        Self {
            retry_after,
            ..Self::new(status, error.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
    use strata_http::{Query, RequestBody, object};
    use strata_oci::Digest;

    use super::*;

    #[test]
    fn every_error_has_its_status() {
        let text = || "text".to_owned();
        let limited = Error::RateLimited {
            message: text(),
            retry_after: Some(30),
        };
        let mismatch = Error::DigestMismatch {
            expected: Digest::sha256(b"a"),
            actual: Digest::sha256(b"b"),
        };
        for (error, status) in [
            (Error::InvalidArgument(text()), 400),
            (Error::NotFound(text()), 404),
            (Error::Conflict(text()), 409),
            (Error::Unauthorized(text()), 401),
            (
                Error::Unauthorized("no basic auth credentials".to_owned()),
                401,
            ),
            (Error::LoginMissing(text()), 500),
            (Error::Denied(text()), 403),
            (limited, 429),
            (Error::ManifestInvalid(text()), 400),
            (mismatch, 500),
            (Error::Damaged(text()), 500),
            (Error::PlatformMismatch(text()), 404),
            (Error::Unsupported(text()), 400),
            (Error::NoSpace(text()), 500),
            (Error::QuotaExceeded(text()), 400),
            (Error::Unavailable(text()), 503),
            (Error::Cancelled, 500),
            (Error::Internal(text()), 500),
        ] {
            assert_eq!(
                Failure::from(error.clone()).status.as_u16(),
                status,
                "{error:?}"
            );
        }
    }

    #[test]
    fn a_rate_limit_passes_retry_after_on() {
        let failure = Failure::from(Error::RateLimited {
            message: "toomanyrequests: slow down".to_owned(),
            retry_after: Some(30),
        });
        let reply = failure.reply();
        assert_eq!(reply.headers[RETRY_AFTER], "30");
        assert_eq!(
            reply.body,
            b"{\"message\":\"toomanyrequests: slow down\"}\n"
        );
    }

    #[test]
    fn messages_do_not_drive_a_terminal() {
        let quoted = Error::ManifestInvalid("image \u{1b}[2J\r\n\u{202e} is none".to_owned());
        let failure = Failure::from(quoted);
        let body = "{\"message\":\"image  [2J    is none\"}\n";
        assert_eq!(failure.reply().body, body.as_bytes());
        let plain = failure.in_plain_text().reply().body;
        assert_eq!(plain, b"image  [2J    is none\n");
    }

    #[test]
    fn messages_keep_html_characters() {
        let reply = Failure::invalid("a<b>&\"c\"").reply();
        assert_eq!(reply.body, b"{\"message\":\"a<b>&\\\"c\\\"\"}\n");
        assert_eq!(reply.headers[CONTENT_TYPE], "application/json");
    }

    #[test]
    fn what_cannot_be_read_is_told_as_dockerd_tells_it() {
        for (text, message) in [
            ("a=%zz", "invalid URL escape \"%zz\""),
            ("a=%4", "invalid URL escape \"%4\""),
            ("a=b;c=d", "invalid semicolon separator in query"),
        ] {
            let failure = Failure::from(&Query::parse(text).unwrap_err());
            assert_eq!(failure, Failure::invalid(message), "{text}");
        }
        let json = "application/json";
        for (content_type, body, message) in [
            (
                json,
                " ",
                "invalid JSON: got EOF while reading request body",
            ),
            (json, "{} {}", "unexpected content after JSON"),
            (
                json,
                "[]",
                "invalid JSON: invalid type: sequence, expected an object",
            ),
            (
                json,
                r#"{"A":"#,
                "invalid JSON: unexpected end of JSON input",
            ),
            (
                "",
                "{}",
                "malformed Content-Type header (): mime: no media type",
            ),
            (
                "text/plain",
                "",
                "unsupported Content-Type header (text/plain): must be 'application/json'",
            ),
        ] {
            let given = (CONTENT_TYPE, HeaderValue::from_static(content_type));
            let headers: HeaderMap = [given].into_iter().collect();
            let bytes: RequestBody<()> = RequestBody::Bytes(body.as_bytes().to_vec());
            let failure = Failure::from(object(&headers, &bytes).unwrap_err());
            assert_eq!(failure, Failure::invalid(message), "{content_type} {body}");
        }
    }
}
