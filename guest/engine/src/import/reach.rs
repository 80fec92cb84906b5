//! Whether a redirect leads away. Where it may lead then, the host judges.

use http::Uri;

use crate::registry::address;

/// Whether both are the same host and port. The step from a scheme's own port to the
/// other's counts as staying.
pub(super) fn is_same_place(one: &Uri, other: &Uri) -> bool {
    let host = |uri: &Uri| uri.host().map(str::to_ascii_lowercase);
    let is_unwritten = |uri: &Uri| uri.port_u16().is_none();
    host(one) == host(other)
        && (address::port(one) == address::port(other) || is_unwritten(one) && is_unwritten(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_hosts_with_ports() {
        for (one, other, same) in [
            ("http://a/x", "http://A:80/y?z", true),
            ("http://a/x", "https://a/x", true),
            ("http://a:80/x", "https://a:443/x", false),
            ("http://a:5000/", "https://a:5000/", true),
            ("http://a/", "http://a:81/", false),
            ("http://a/", "http://b/", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!(is_same_place(&one, &other), same, "{one} {other}");
        }
    }
}
