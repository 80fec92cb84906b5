//! Request bodies: archives that are streamed, and JSON, read as dockerd reads it.

use std::fmt;

use http::{HeaderMap, StatusCode, header::CONTENT_TYPE};
use strata_oci::json;

pub(crate) use strata_oci::json::Members;

use crate::{failure::Failure, output::RequestBody};

/// The archive a request carries.
///
/// # Errors
/// 500 if the shell has not streamed it.
pub(crate) fn archive<B>(body: RequestBody<B>) -> Result<B, Failure> {
    match body {
        RequestBody::Stream(body) => Ok(body),
        RequestBody::Bytes(_) => Err(Failure::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the archive was read as a whole instead of being streamed",
        )),
    }
}

/// The object in a body; `None` for `null` and for no body.
///
/// # Errors
/// 400 for another content type, for what is no object, and for anything after it.
pub(crate) fn object<B>(
    headers: &HeaderMap,
    body: &RequestBody<B>,
) -> Result<Option<Members>, Failure> {
    let bytes: &[u8] = match body {
        RequestBody::Bytes(bytes) => bytes,
        RequestBody::Stream(_) => &[],
    };
    check_content_type(headers, bytes.is_empty())?;
    if bytes.is_empty() {
        return Ok(None);
    }
    json::from_slice(bytes).map_err(|error| match error {
        _ if bytes.trim_ascii().is_empty() => {
            Failure::invalid("invalid JSON: got EOF while reading request body")
        }
        error if error.is_after_value() => Failure::invalid("unexpected content after JSON"),
        error => invalid(&error),
    })
}

/// 400 for JSON that is not what it should be.
pub(crate) fn invalid(error: &impl fmt::Display) -> Failure {
    Failure::invalid(format!("invalid JSON: {error}"))
}

/// A content type may only be missing together with the body.
fn check_content_type(headers: &HeaderMap, is_empty: bool) -> Result<(), Failure> {
    let value = headers.get(CONTENT_TYPE);
    let given = value.and_then(|value| value.to_str().ok());
    let given = given.unwrap_or_default();
    if given.is_empty() {
        return match is_empty {
            true => Ok(()),
            false => Err(Failure::invalid(
                "malformed Content-Type header (): mime: no media type",
            )),
        };
    }
    let essence = given.split(';').next().unwrap_or_default();
    if essence.trim().eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Failure::invalid(format!(
        "unsupported Content-Type header ({given}): must be 'application/json'"
    )))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(content_type: Option<&'static str>, body: &str) -> Result<Option<Members>, Failure> {
        let value = content_type.map(HeaderValue::from_static);
        let headers = value.map(|value| (CONTENT_TYPE, value)).into_iter();
        let body: RequestBody<()> = RequestBody::Bytes(body.as_bytes().to_vec());
        object(&headers.collect(), &body)
    }

    #[test]
    fn a_body_is_one_object_or_nothing() {
        for body in ["", "null", " null\n"] {
            assert!(read(Some("application/json"), body).unwrap().is_none());
        }
        for body in ["{}", r#" {"A":1} "#] {
            assert!(read(Some("application/json"), body).unwrap().is_some());
        }
        for (body, message) in [
            (" ", "invalid JSON: got EOF while reading request body"),
            ("{} {}", "unexpected content after JSON"),
            (
                "[]",
                "invalid JSON: invalid type: sequence, expected an object",
            ),
            (r#"{"A":"#, "invalid JSON: unexpected end of JSON input"),
        ] {
            let failure = read(Some("application/json"), body).unwrap_err();
            assert_eq!(failure, Failure::invalid(message), "{body}");
        }
    }

    #[test]
    fn a_content_type_is_json_or_missing_with_the_body() {
        for (content_type, body, message) in [
            (None, "", None),
            (Some(""), "", None),
            (Some("Application/JSON; charset=utf-8"), "{}", None),
            (
                None,
                "{}",
                Some("malformed Content-Type header (): mime: no media type"),
            ),
            (
                Some("text/plain"),
                "",
                Some("unsupported Content-Type header (text/plain): must be 'application/json'"),
            ),
            (
                Some("application/jsonl"),
                "{}",
                Some(
                    "unsupported Content-Type header (application/jsonl): must be 'application/json'",
                ),
            ),
        ] {
            let failure = read(content_type, body).err();
            assert_eq!(failure, message.map(Failure::invalid), "{content_type:?}");
        }
    }
}
