//! Bodies of requests: archives that are streamed, forms and JSON that are read whole.

use http::{HeaderMap, Method, header::CONTENT_TYPE};
use strata_oci::json::{self, Members};

use crate::query::{Malformed, Query};

/// The largest body that is read whole: forms and configs are far smaller.
pub const MAX_WHOLE_BODY: usize = 1 << 20;

/// What a request carries, taken as its route [says](crate::Taking). `B` is read as it comes.
#[derive(Clone, Debug)]
pub enum RequestBody<B> {
    /// At most [`MAX_WHOLE_BODY`], read already.
    Bytes(Vec<u8>),
    /// An archive, of any size.
    Stream(B),
}

impl<B> RequestBody<B> {
    /// The body that is read as it comes; `None` if the shell took it otherwise.
    pub fn stream(self) -> Option<B> {
        match self {
            Self::Stream(body) => Some(body),
            Self::Bytes(_) => None,
        }
    }

    /// The bytes that were read; none of a stream.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Stream(_) => &[],
        }
    }
}

/// Why a body is no JSON object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It does not say what it is.
    NoContentType,
    /// It says that it is something else.
    ContentType(String),
    /// White space.
    Blank,
    /// Something stands after the object.
    AfterValue,
    /// Other faults.
    Json(json::Error),
}

/// The form a `POST` carries; without parameters if it carries none.
///
/// # Errors
/// As [`Query::parse`].
pub fn form<B>(
    method: &Method,
    headers: &HeaderMap,
    body: &RequestBody<B>,
) -> Result<Query, Malformed> {
    const FORM: &str = "application/x-www-form-urlencoded";
    match method == Method::POST && is(content_type(headers), FORM) {
        true => Query::parse(&String::from_utf8_lossy(body.bytes())),
        false => Ok(Query::default()),
    }
}

/// The object in a body; `None` for `null` and for no body.
///
/// # Errors
/// [`Unreadable`]. A content type may only be missing together with the body.
pub fn object<B>(
    headers: &HeaderMap,
    body: &RequestBody<B>,
) -> Result<Option<Members>, Unreadable> {
    let bytes = body.bytes();
    match content_type(headers) {
        "" if bytes.is_empty() => {}
        "" => return Err(Unreadable::NoContentType),
        given if is(given, "application/json") => {}
        given => return Err(Unreadable::ContentType(given.to_owned())),
    }
    if bytes.is_empty() {
        return Ok(None);
    }
    json::from_slice(bytes).map_err(|error| match error {
        _ if bytes.trim_ascii().is_empty() => Unreadable::Blank,
        error if error.is_after_value() => Unreadable::AfterValue,
        error => Unreadable::Json(error),
    })
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE);
    let given = value.and_then(|value| value.to_str().ok());
    given.unwrap_or_default()
}

/// Whether a content type is this one, whatever its parameters.
fn is(content_type: &str, essence: &str) -> bool {
    let given = content_type.split(';').next().unwrap_or_default();
    given.trim().eq_ignore_ascii_case(essence)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(content_type: Option<&'static str>) -> HeaderMap {
        let value = content_type.map(HeaderValue::from_static);
        value.map(|it| (CONTENT_TYPE, it)).into_iter().collect()
    }

    fn body(text: &str) -> RequestBody<()> {
        RequestBody::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn only_a_post_has_a_form() {
        let form_type = Some("Application/x-www-form-urlencoded; charset=utf-8");
        for (method, content_type, expected) in [
            (Method::POST, form_type, "b c"),
            (Method::POST, None, ""),
            (Method::GET, form_type, ""),
        ] {
            let read = form(&method, &headers(content_type), &body("a=b+c"));
            assert_eq!(read.unwrap().text("a"), expected, "{method}");
        }
    }

    #[test]
    fn a_body_is_one_object_or_nothing() {
        let read = |text| object(&headers(Some("application/json")), &body(text));
        for text in ["", "null", " null\n"] {
            assert!(read(text).unwrap().is_none(), "{text}");
        }
        for text in ["{}", r#" {"A":1} "#] {
            assert!(read(text).unwrap().is_some(), "{text}");
        }
        assert!(matches!(read(" "), Err(Unreadable::Blank)));
        assert!(matches!(read("{} {}"), Err(Unreadable::AfterValue)));
        for text in ["[]", r#"{"A":"#] {
            assert!(matches!(read(text), Err(Unreadable::Json(_))), "{text}");
        }
    }

    #[test]
    fn a_content_type_is_json_or_missing_with_the_body() {
        let read = |content_type, text| object(&headers(content_type), &body(text));
        for (content_type, text) in [
            (None, ""),
            (Some(""), ""),
            (Some("Application/JSON; charset=utf-8"), "{}"),
        ] {
            assert!(read(content_type, text).is_ok(), "{content_type:?}");
        }
        assert!(matches!(read(None, "{}"), Err(Unreadable::NoContentType)));
        for other in ["text/plain", "application/jsonl"] {
            let error = read(Some(other), "").unwrap_err();
            assert!(matches!(error, Unreadable::ContentType(given) if given == other));
        }
    }
}
