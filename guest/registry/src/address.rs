//! Addresses: relative references, origins, and how an address is shown to people.

use std::net::IpAddr;

use http::{HeaderValue, Uri, uri::Authority};
use percent_encoding::{AsciiSet, CONTROLS, percent_encode, utf8_percent_encode};

/// What addresses are written with although they may not have it, by servers that encode
/// too little. It is encoded as browsers do; the rest stays, as it may be signed.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// An address as a header has it.
pub fn written(value: &HeaderValue) -> String {
    let text = value.as_bytes().trim_ascii();
    percent_encode(text, ENCODED).to_string()
}

/// What a `Location`, `Link` or realm may lead to: `None` unless it is an
/// absolute `http` or `https` address without user information once it is
/// resolved against `base`.
pub fn resolve(base: &Uri, target: &str) -> Option<Uri> {
    // A fragment is never sent (RFC 9110 §7.1).
    let target = target.split('#').next().unwrap_or_default().trim();
    let target = &*utf8_percent_encode(target, ENCODED).to_string();
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    let before_path = target.split(['/', '?']).next().unwrap_or_default();
    let absolute = if before_path.ends_with(':') {
        target.to_owned()
    } else if target.starts_with("//") {
        format!("{scheme}:{target}")
    } else if target.starts_with('/') {
        format!("{scheme}://{authority}{target}")
    } else if target.starts_with('?') {
        format!("{scheme}://{authority}{}{target}", base.path())
    } else {
        let folder = base
            .path()
            .rsplit_once('/')
            .map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{target}")
    };
    web(&absolute)
}

/// `text` as an absolute `http` or `https` address without user information.
pub fn web(text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    (matches!(uri.scheme_str(), Some("http" | "https")) && !authority.as_str().contains('@'))
        .then_some(uri)
}

/// Whether both name the same scheme, host and port: the border credentials
/// never cross.
pub(crate) fn same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme_str() == b.scheme_str()
        && a.host().map(str::to_ascii_lowercase) == b.host().map(str::to_ascii_lowercase)
        && port(a) == port(b)
}

/// The port, also if it is its scheme's own and not written.
pub fn port(uri: &Uri) -> Option<u16> {
    uri.port_u16().or(match uri.scheme_str() {
        Some("http") => Some(80),
        Some("https") => Some(443),
        _ => None,
    })
}

/// The address without its query, which may be a signature.
pub fn shown(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let host = uri.authority().map_or("", Authority::as_str);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{scheme}://{host}{}", uri.path())
}

/// Whether `authority` (`host` or `host:port`) is this machine.
pub(crate) fn is_loopback(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return false;
    };
    let host = authority.host();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || literal.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_resolve_like_a_browser_and_lead_to_the_web_only() {
        let base: Uri = "https://r.example:5000/v2/a/blobs/x?ns=y".parse().unwrap();
        for (target, expected) in [
            (
                "https://cdn.example/x?sig=1",
                Some("https://cdn.example/x?sig=1"),
            ),
            ("//cdn.example/x", Some("https://cdn.example/x")),
            ("/v2/b#part", Some("https://r.example:5000/v2/b")),
            (
                "y?a=http://b/c",
                Some("https://r.example:5000/v2/a/blobs/y?a=http://b/c"),
            ),
            (
                "?last=b",
                Some("https://r.example:5000/v2/a/blobs/x?last=b"),
            ),
            (
                r#"/v2/<b>?a="c d"&{e|f}=\^`&g=%22"#,
                Some("https://r.example:5000/v2/%3Cb%3E?a=%22c%20d%22&%7Be%7Cf%7D=%5C%5E%60&g=%22"),
            ),
            ("/v2/é", Some("https://r.example:5000/v2/%C3%A9")),
            ("https://user:secret@cdn.example/x", None),
            ("ftp://cdn.example/x", None),
            ("file:///etc/passwd", None),
            ("http://", None),
        ] {
            let resolved = resolve(&base, target).map(|uri| uri.to_string());
            assert_eq!(resolved.as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn origins_differ_by_scheme_host_or_port() {
        let origin: Uri = "https://r.example/v2/".parse().unwrap();
        for (other, same) in [
            ("https://R.example:443/x", true),
            ("https://r.example:444/x", false),
            ("http://r.example/x", false),
            ("https://s.example/x", false),
        ] {
            assert_eq!(
                same_origin(&origin, &other.parse().unwrap()),
                same,
                "{other}"
            );
        }
    }

    #[test]
    fn shown_addresses_have_no_query() {
        let uri: Uri = "https://u:p@cdn.example/x?sig=secret".parse().unwrap();
        assert_eq!(shown(&uri), "https://cdn.example/x");
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for (authority, expected) in [
            ("localhost", true),
            ("LOCALHOST:5000", true),
            ("127.8.9.1:80", true),
            ("[::1]:5000", true),
            ("localhost.example", false),
            ("128.0.0.1", false),
            ("[::2]", false),
        ] {
            assert_eq!(is_loopback(authority), expected, "{authority}");
        }
    }
}
