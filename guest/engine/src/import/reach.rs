//! Where a stranger may send a request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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

/// Whether an address says itself that it is no public place. What a name resolves to is
/// not known here.
pub(super) fn is_private(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    match literal.parse() {
        Ok(IpAddr::V4(ip)) => !is_public_v4(ip),
        Ok(IpAddr::V6(ip)) => !is_public_v6(ip),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// <https://www.iana.org/assignments/iana-ipv4-special-registry>
fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [first, second, third, _] = ip.octets();
    let is_shared = first == 100 && second & 0xc0 == 64;
    let is_protocol = (first, second, third) == (192, 0, 0);
    let is_benchmark = first == 198 && second & 0xfe == 18;
    // The first is "this network", the last are multicast, reserved and broadcast.
    !(first == 0
        || first >= 224
        || ip.is_loopback()
        || ip.is_private()
        || ip.is_link_local()
        || ip.is_documentation()
        || is_shared
        || is_protocol
        || is_benchmark)
}

/// <https://www.iana.org/assignments/iana-ipv6-special-registry>: only global unicast is
/// public, without documentation and without what carries an IPv4 address.
fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let is_global = first & 0xe000 == 0x2000;
    let is_documentation =
        (first, second) == (0x2001, 0xdb8) || (first == 0x3fff && second & 0xf000 == 0);
    // Teredo, benchmarks, ORCHID and others; 6to4.
    let is_protocol = first == 0x2001 && second < 0x200;
    is_global && !is_documentation && !is_protocol && first != 0x2002
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_public_are_known() {
        for (host, private) in [
            ("127.0.0.1", true),
            ("127.9.9.9:5000", true),
            ("0.0.0.0", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.1", true),
            ("192.169.1.1", false),
            ("169.254.169.254", true),
            ("100.64.0.1", true),
            ("100.127.255.255", true),
            ("100.128.0.1", false),
            ("192.0.0.1", true),
            ("192.0.2.1", true),
            ("198.19.0.1", true),
            ("224.0.0.1", true),
            ("240.0.0.1", true),
            ("255.255.255.255", true),
            ("1.1.1.1", false),
            ("223.255.255.1", false),
            ("[::1]", true),
            ("[::]:80", true),
            ("[::ffff:127.0.0.1]", true),
            ("[::ffff:1.1.1.1]", true),
            ("[64:ff9b::7f00:1]", true),
            ("[fc00::1]", true),
            ("[fd12::1]", true),
            ("[fe80::1]", true),
            ("[ff02::1]", true),
            ("[2001:db8::1]", true),
            ("[3fff:fff::1]", true),
            ("[3fff:1000::1]", false),
            ("[2001::1]", true),
            ("[2002:7f00:1::]", true),
            ("[2606:4700::1111]", false),
            ("[2001:4860:4860::8888]", false),
            ("localhost", true),
            ("LOCALHOST.:80", true),
            ("a.localhost", true),
            ("localhost.example", false),
            ("example.com", false),
        ] {
            let uri: Uri = format!("http://{host}/x").parse().unwrap();
            assert_eq!(is_private(&uri), private, "{host}");
        }
    }

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
