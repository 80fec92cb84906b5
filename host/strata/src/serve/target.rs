//! What a request line asks for, in the form the `http` crate can hold.
//!
//! dockerd takes any byte in a target but controls and blanks, and 1 MiB of them. Clients rely on
//! both: JSON is written into queries as it is, and one `docker save` names a thousand images. The
//! `http` crate takes neither; so what it refuses is percent-encoded, which means the same, and a
//! long query travels in a header.

use std::ops::Range;

use http::{HeaderValue, StatusCode, Uri};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode};

use super::answer::Refusal;

/// Longest target: dockerd's bound for the whole head of a request.
pub(super) const MAX_TARGET: usize = 1 << 20;
/// Longest target the `http` crate holds; it counts in 16 bits.
const MAX_URI: usize = u16::MAX as usize - 1;

/// What is encoded: all that RFC 3986 wants encoded, but `%` itself, since the rest is encoded
/// already, and the brackets. Bytes beyond ASCII always are. `#` starts no fragment here.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A target.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Path and query, or the path alone if there is a `query` beside it.
    pub(super) uri: Uri,
    /// A query too long for `uri`.
    pub(super) query: Option<HeaderValue>,
    /// The authority of a target in absolute form.
    pub(super) authority: Option<String>,
}

/// Reads a target.
///
/// # Errors
/// The answer to a request with a target that cannot be read.
pub(super) fn parse(raw: &[u8]) -> Result<Target, Refusal> {
    if raw.len() > MAX_TARGET {
        return Err(too_long(raw.len(), MAX_TARGET));
    }
    if raw.is_empty() || raw.iter().any(u8::is_ascii_control) {
        return Err(bad("it is empty or has control characters"));
    }
    let (authority, origin) = split_absolute(raw)?;
    let mut parts = origin.splitn(2, |&byte| byte == b'?');
    let path = parts.next().filter(|path| !path.is_empty());
    let path = percent_encode(path.unwrap_or(b"/"), ENCODED).to_string();
    let query = parts.next();
    let query = query.map(|query| percent_encode(query, ENCODED).to_string());
    if path.len() > MAX_URI {
        return Err(too_long(path.len(), MAX_URI));
    }
    let is_short = |query: &String| path.len() + 1 + query.len() <= MAX_URI;
    let (text, aside) = match query {
        None => (path, None),
        Some(query) if is_short(&query) => (format!("{path}?{query}"), None),
        Some(query) => (path, Some(query)),
    };
    let uri = Uri::try_from(text).map_err(|error| bad(&error.to_string()))?;
    if uri.authority().is_some() {
        return Err(bad("write a path that begins with a slash"));
    }
    let query = aside.map(HeaderValue::try_from).transpose();
    Ok(Target {
        uri,
        query: query.map_err(|error| bad(&error.to_string()))?,
        authority,
    })
}

/// The authority of a target in absolute form, and the rest as in origin form.
fn split_absolute(raw: &[u8]) -> Result<(Option<String>, &[u8]), Refusal> {
    if raw.starts_with(b"/") || raw == b"*" {
        return Ok((None, raw));
    }
    let Some(Range { start, end }) = authority(raw) else {
        return Err(bad("write a path that begins with a slash"));
    };
    let (authority, rest) = raw.split_at(end);
    let authority = authority.get(start..).unwrap_or_default();
    Ok((Some(String::from_utf8_lossy(authority).into_owned()), rest))
}

/// Where the authority of `http://host/…` stands.
fn authority(raw: &[u8]) -> Option<Range<usize>> {
    let colon = raw.windows(3).position(|three| three == b"://")?;
    let (scheme, _) = raw.split_at(colon);
    let known = [&b"http"[..], b"https"];
    known
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
        .then_some(())?;
    let start = colon + 3;
    let rest = raw.get(start..)?;
    let length = rest.iter().position(|byte| b"/?".contains(byte));
    Some(start..start + length.unwrap_or(rest.len()))
}

fn bad(reason: &str) -> Refusal {
    Refusal::new(
        StatusCode::BAD_REQUEST,
        format!("the target of the request cannot be read: {reason}"),
    )
}

pub(super) fn too_long(length: usize, limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::URI_TOO_LONG,
        format!(
            "the target of the request has {length} bytes, more than the limit of {limit}: ask for less at once"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(raw: &str) -> String {
        let target = parse(raw.as_bytes()).unwrap();
        assert_eq!(target.query, None);
        target.uri.to_string()
    }

    #[test]
    fn what_go_takes_is_taken() {
        for (raw, expected) in [
            ("/_ping", "/_ping"),
            ("*", "*"),
            ("/", "/"),
            ("//x", "//x"),
            (
                "/j?filters={\"reference\":[\"raw/a\"]}",
                "/j?filters=%7B%22reference%22:[%22raw/a%22]%7D",
            ),
            ("/j?a=%7B\"b\"%7D&c=d+e", "/j?a=%7B%22b%22%7D&c=d+e"),
            (
                "/j?x=<y>&z=a?b|c\\d^e`",
                "/j?x=%3Cy%3E&z=a?b%7Cc%5Cd%5Ee%60",
            ),
            ("/j?x=\u{e9}", "/j?x=%C3%A9"),
            ("/a<b>\u{e9}\"/json", "/a%3Cb%3E%C3%A9%22/json"),
            ("/j?a#b", "/j?a%23b"),
            ("/a#b?c", "/a%23b?c"),
            ("/j?%zz", "/j?%zz"),
            ("/j?", "/j?"),
            ("http://localhost", "/"),
            ("http://localhost?a", "/?a"),
            ("HTTP://localhost:1/_ping?a=//b", "/_ping?a=//b"),
        ] {
            assert_eq!(uri(raw), expected, "{raw}");
        }
        let latin = parse(b"/j?x=\xe9").unwrap();
        assert_eq!(latin.uri.to_string(), "/j?x=%E9");
    }

    #[test]
    fn an_absolute_target_names_its_host() {
        for (raw, authority) in [
            ("/http://a/b", None),
            ("http://a:1/b", Some("a:1")),
            ("https://a@b", Some("a@b")),
            ("http:///b", Some("")),
            ("http://a?http://b/", Some("a")),
        ] {
            let target = parse(raw.as_bytes()).unwrap();
            assert_eq!(target.authority.as_deref(), authority, "{raw}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for raw in [
            "",
            "images",
            "?a",
            "#",
            "/a\tb",
            "/a\u{7f}",
            "ftp://a/b",
            "://a",
            "a:1",
        ] {
            let refusal = parse(raw.as_bytes()).unwrap_err();
            assert_eq!(refusal.status, StatusCode::BAD_REQUEST, "{raw}");
        }
    }

    #[test]
    fn a_long_query_goes_aside_and_a_longer_one_is_refused() {
        let query = "names=x&".repeat(12_000);
        let target = parse(format!("/images/get?{query}").as_bytes()).unwrap();
        assert_eq!(target.uri, "/images/get");
        assert_eq!(target.query.unwrap().to_str().unwrap(), query);

        let mut line = b"/images/get?".to_vec();
        line.resize(MAX_TARGET, b'<');
        let encoded = parse(&line).unwrap().query.unwrap();
        assert_eq!(encoded.len(), 3 * (MAX_TARGET - 12));
        line.push(b'x');
        for long in [line, vec![b'/'; MAX_URI + 1]] {
            let refusal = parse(&long).unwrap_err();
            assert_eq!(refusal.status, StatusCode::URI_TOO_LONG);
            assert!(refusal.message.contains("limit of"), "{}", refusal.message);
        }
    }

    #[test]
    fn the_edge_of_what_http_holds_is_exact() {
        for length in [MAX_URI - 1, MAX_URI, MAX_URI + 1] {
            let mut line = b"/a?".to_vec();
            line.resize(length, b'x');
            let target = parse(&line).unwrap();
            assert_eq!(target.query.is_some(), length > MAX_URI);
        }
    }
}
