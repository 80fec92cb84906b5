//! Who may ask over TCP: no web page may.
//!
//! A browser sends what any page tells it to, to any port of this machine, and the API has no
//! password. What only browsers send is refused, and so is a host name that is not this machine's:
//! a page may be served under a name that its owner's name server then points here (DNS rebinding),
//! and would be taken for a page of this server.
//!
//! A unix socket is out of reach for pages and is not judged.

use std::net::IpAddr;

use http::{
    HeaderMap, HeaderName, StatusCode, Version,
    header::{ACCEPT, ACCEPT_ENCODING, ACCEPT_LANGUAGE, COOKIE, HOST, ORIGIN, REFERER, USER_AGENT},
};

use super::answer::Refusal;

/// What a page's origin was to what it asks for. Only browsers send it, and no page can change it.
/// <https://www.w3.org/TR/fetch-metadata/#sec-fetch-site-header>
const SEC_FETCH_SITE: &str = "sec-fetch-site";
/// The name Docker's Go clients give to a server they reach without a name.
const MOBY: &str = "api.moby.localhost";
/// How much of a header's value is repeated in an answer.
const SHOWN: usize = 100;

/// How a client came here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// A unix socket: the file's mode says who.
    Unix,
    /// TCP: whoever is on this machine, browsers included.
    Tcp,
    /// TLS: whoever has a client certificate. Names of this server are those of its certificate,
    /// which the client checks; a browser may hold a client certificate, too.
    Tls,
}

/// Judges one request. `authority` is that of a target in absolute form.
///
/// # Errors
/// The answer to a request that is refused.
pub(super) fn judge(
    door: Door,
    allowed: &[String],
    version: Version,
    authority: Option<&str>,
    headers: &HeaderMap,
) -> Result<(), Refusal> {
    if door == Door::Unix {
        return Ok(());
    }
    judge_browser(headers)?;
    if door == Door::Tls {
        return Ok(());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next();
    if hosts.next().is_some() || (host.is_none() && version > Version::HTTP_10) {
        return Err(Refusal::new(
            StatusCode::BAD_REQUEST,
            "an HTTP/1.1 request needs a Host header, and one only: name the server it is for",
        ));
    }
    let host = host.map(|host| String::from_utf8_lossy(host.as_bytes()));
    // A target in absolute form is the one that counts; a foreign Host beside it is odd enough.
    for named in [authority, host.as_deref()].into_iter().flatten() {
        let named = named.trim();
        let answered = is_ours(named, allowed) || (is_word(named) && is_by_hand(headers));
        if !answered {
            return Err(misdirected(named));
        }
    }
    Ok(())
}

/// Whether `authority` is a single word. Programs that write HTTP by hand put any word there.
fn is_word(authority: &str) -> bool {
    split_port(authority).is_some_and(|host| !host.contains(['.', ':']))
}

/// Whether no browser can have sent this: each says at least who it is and what it takes, and no
/// page can leave out all of that.
fn is_by_hand(headers: &HeaderMap) -> bool {
    const SAID: [HeaderName; 6] = [
        USER_AGENT,
        ACCEPT,
        ACCEPT_ENCODING,
        ACCEPT_LANGUAGE,
        COOKIE,
        REFERER,
    ];
    let is_said = |name: &HeaderName| SAID.contains(name) || name.as_str().starts_with("sec-");
    !headers.keys().any(is_said)
}

fn judge_browser(headers: &HeaderMap) -> Result<(), Refusal> {
    if let Some(origin) = headers.get(ORIGIN) {
        return Err(browser("Origin", origin.as_bytes()));
    }
    let foreign = headers
        .get_all(SEC_FETCH_SITE)
        .iter()
        .find(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"));
    match foreign {
        Some(site) => Err(browser("Sec-Fetch-Site", site.as_bytes())),
        None => Ok(()),
    }
}

fn browser(header: &str, value: &[u8]) -> Refusal {
    let value = shown(&String::from_utf8_lossy(value));
    Refusal::new(
        StatusCode::FORBIDDEN,
        format!(
            "requests of web pages are refused, and only browsers send the header {header} (here \"{value}\"): \
             use a client that is no browser, such as docker or curl, and leave this header out"
        ),
    )
}

fn misdirected(named: &str) -> Refusal {
    let named = shown(named);
    let hint = match split_port(&named) {
        Some(host) if !host.is_empty() => format!(", or start it with --allow-host {host}"),
        _ => String::new(),
    };
    Refusal::new(
        StatusCode::MISDIRECTED_REQUEST,
        format!(
            "this server does not answer to the host \"{named}\", so that no web page can reach it under a name of \
             its own: ask it as localhost or by its address{hint}"
        ),
    )
}

/// Not more of a value than anybody reads.
fn shown(value: &str) -> String {
    value.chars().take(SHOWN).collect()
}

/// Whether `authority`, a host with or without a port, is a name of this server.
fn is_ours(authority: &str, allowed: &[String]) -> bool {
    // Nothing a name server could have pointed here.
    if authority.is_empty() {
        return true;
    }
    let Some(host) = split_port(authority) else {
        return false;
    };
    if let Ok(address) = host.parse::<IpAddr>() {
        // What is bound without TLS is a loopback address.
        return address.to_canonical().is_loopback() || is_listed(host, allowed);
    }
    let host = host.strip_suffix('.').unwrap_or(host);
    ["localhost", MOBY]
        .iter()
        .any(|name| host.eq_ignore_ascii_case(name))
        || is_listed(host, allowed)
}

fn is_listed(host: &str, allowed: &[String]) -> bool {
    allowed.iter().any(|entry| {
        let entry = split_port(entry).unwrap_or(entry);
        host.eq_ignore_ascii_case(entry.strip_suffix('.').unwrap_or(entry))
    })
}

/// Whether `text` is a host, with or without a port: a name or an address.
pub(super) fn is_host(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok() || split_port(text).is_some_and(|host| !host.is_empty())
}

/// The host of `HOST`, `HOST:PORT` or `[IPv6]:PORT`; `None` if it is none of these.
fn split_port(authority: &str) -> Option<&str> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(literal) => {
            let (host, rest) = literal.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => match authority.find(':') {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        },
    };
    let port = match rest.strip_prefix(':') {
        Some(port) => port,
        None if rest.is_empty() => "",
        None => return None,
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (port.bytes().all(|byte| byte.is_ascii_digit()) && host.bytes().all(is_host)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn verdict(door: Door, version: Version, target: Option<&str>, list: &[(&str, &str)]) -> u16 {
        let headers = list.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let mut map = HeaderMap::new();
        headers.for_each(|(name, value)| {
            map.append(name, value);
        });
        let allowed = ["build.lan".to_owned(), "10.0.0.7".to_owned()];
        match judge(door, &allowed, version, target, &map) {
            Ok(()) => 200,
            Err(refusal) => {
                assert!(refusal.message.contains(": "), "{}", refusal.message);
                refusal.status.as_u16()
            }
        }
    }

    #[test]
    fn only_names_of_this_machine_are_answered_to() {
        for (host, status) in [
            ("localhost", 200),
            ("LOCALHOST:2375", 200),
            ("localhost.", 200),
            ("127.0.0.1", 200),
            ("127.9.9.9:1", 200),
            ("[::1]:2375", 200),
            ("[::ffff:127.0.0.1]", 200),
            ("api.moby.localhost", 200),
            ("build.lan:2375", 200),
            ("Build.Lan.", 200),
            ("10.0.0.7:1", 200),
            ("", 200),
            ("evil.example", 421),
            ("evil.example:2375", 421),
            ("localhost.evil.example", 421),
            ("127.0.0.1.evil.example", 421),
            ("evil.localhost", 421),
            ("localhost@evil.example", 421),
            ("evil.example@localhost", 421),
            ("localhost:2375@evil.example", 421),
            ("localhost:port", 421),
            ("localhost, evil.example", 421),
            ("localhost/x", 421),
            ("0.0.0.0", 421),
            ("10.0.0.8", 421),
            ("0x7f.1", 421),
            ("[::2]", 421),
            ("[::1", 421),
            ("[localhost]", 421),
            ("notbuild.lan", 421),
        ] {
            let seen = verdict(Door::Tcp, Version::HTTP_11, None, &[("host", host)]);
            assert_eq!(seen, status, "{host:?}");
        }
    }

    #[test]
    fn a_word_is_no_host_only_where_no_browser_can_be() {
        for (host, status) in [
            ("d", 200),
            ("d:2375", 200),
            ("evil.example", 421),
            ("d@e", 421),
        ] {
            let seen = verdict(Door::Tcp, Version::HTTP_11, None, &[("host", host)]);
            assert_eq!(seen, status, "{host}");
        }
        let said =
            "user-agent accept accept-encoding accept-language cookie referer sec-fetch-mode";
        for header in said.split(' ') {
            let headers = [("host", "d"), (header, "x")];
            assert_eq!(verdict(Door::Tcp, Version::HTTP_11, None, &headers), 421);
        }
    }

    #[test]
    fn a_target_in_absolute_form_is_judged_with_the_host() {
        let ours = [("host", "localhost")];
        for (target, headers, status) in [
            ("localhost:1", &ours[..], 200),
            ("evil.example", &ours, 421),
            ("localhost", &[("host", "evil.example")], 421),
        ] {
            let seen = verdict(Door::Tcp, Version::HTTP_11, Some(target), headers);
            assert_eq!(seen, status, "{target}");
        }
        assert_eq!(
            verdict(Door::Tcp, Version::HTTP_10, Some("evil.example"), &[]),
            421
        );
    }

    #[test]
    fn old_clients_need_no_host_and_nobody_may_have_two() {
        assert_eq!(verdict(Door::Tcp, Version::HTTP_10, None, &[]), 200);
        let foreign = [("host", "evil.example")];
        assert_eq!(verdict(Door::Tcp, Version::HTTP_10, None, &foreign), 421);
        assert_eq!(verdict(Door::Tcp, Version::HTTP_11, None, &[]), 400);
        let two = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(verdict(Door::Tcp, Version::HTTP_11, None, &two), 400);
    }

    #[test]
    fn what_only_browsers_send_is_refused() {
        for (name, value, status) in [
            ("origin", "http://evil.example", 403),
            ("origin", "http://localhost:2375", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
        ] {
            let headers = [("host", "localhost"), (name, value)];
            for door in [Door::Tcp, Door::Tls] {
                let seen = verdict(door, Version::HTTP_11, None, &headers);
                assert_eq!(seen, status, "{door:?} {name}: {value}");
            }
            let seen = verdict(Door::Unix, Version::HTTP_11, None, &headers);
            assert_eq!(seen, 200);
        }
    }

    #[test]
    fn behind_certificates_and_on_the_socket_any_name_is_right() {
        let foreign = [("host", "strata.example:2376")];
        for door in [Door::Tls, Door::Unix] {
            assert_eq!(verdict(door, Version::HTTP_11, None, &foreign), 200);
            assert_eq!(verdict(door, Version::HTTP_11, None, &[]), 200);
        }
    }
}
