//! Which network an address is in, and what a peer there may name.
//!
//! A registry chooses where its tokens, redirects and uploads are, and the author of a manifest
//! where a layer is. Neither may have something fetched that only this network can reach. Names
//! are checked by the resolver the connection is made with, so that an answer that changes between
//! the check and the connection does not help.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// A network, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zone {
    /// The internet.
    Public,
    /// A private network, and whatever is in doubt.
    Private,
    /// The link, where clouds answer questions about their machines, keys included.
    LinkLocal,
    /// This machine.
    Loopback,
}

impl Zone {
    /// All of them.
    pub(super) const ALL: [Self; 4] =
        [Self::Public, Self::Private, Self::LinkLocal, Self::Loopback];

    /// What headers call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Loopback => "loopback",
        }
    }

    /// Whether a peer here may choose an address there: a public one always, one of its own
    /// network, or one of a network around it. The link is no network around this machine: what
    /// answers there trusts whoever can ask.
    pub(super) fn may_name(self, other: Self) -> bool {
        match other {
            Self::Public => true,
            Self::Private => self != Self::Public,
            Self::LinkLocal | Self::Loopback => self == other,
        }
    }

    /// The zone of an address, by the special-purpose registries of IANA.
    ///
    /// <https://www.iana.org/assignments/iana-ipv4-special-registry>,
    /// <https://www.iana.org/assignments/iana-ipv6-special-registry>
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_v4(address),
            IpAddr::V6(address) => Self::of_v6(address),
        }
    }

    fn of_v4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // "This network": the unspecified address leads here.
            [0, ..] | [127, ..] => Self::Loopback,
            [169, 254, ..] => Self::LinkLocal,
            // Where Alibaba's and Azure's clouds answer questions about their machines.
            [100, 100, 100, 200] | [168, 63, 129, 16] => Self::LinkLocal,
            // Private.
            [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Private,
            // Shared by carriers for their customers (CGNAT).
            [100, 64..=127, ..] => Self::Private,
            // Protocol assignments, and the relays of 6to4, which are no more.
            [192, 0, 0, _] | [192, 88, 99, _] => Self::Private,
            // Documentation, benchmarks.
            [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [198, 18..=19, ..] => {
                Self::Private
            }
            // Multicast, reserved, broadcast.
            [224..=255, ..] => Self::Private,
            _ => Self::Public,
        }
    }

    fn of_v6(address: Ipv6Addr) -> Self {
        let embedded = |high: u16, low: u16| {
            let bits = u32::from(high) << 16 | u32::from(low);
            Self::of_v4(Ipv4Addr::from_bits(bits))
        };
        match address.segments() {
            [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Self::Loopback,
            // Mapped: the connection is one of IPv4. NAT64: how a network without IPv4 reaches it.
            [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                embedded(high, low)
            }
            // 6to4.
            [0x2002, high, low, ..] => embedded(high, low),
            // Protocol assignments, Teredo, benchmarks.
            [0x2001, 0..=0x1ff, ..] => Self::Private,
            // Documentation.
            [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Self::Private,
            // Global unicast.
            [0x2000..=0x3fff, ..] => Self::Public,
            // Link-local, and where Amazon's cloud answers questions about its machines.
            [0xfe80..=0xfebf, ..] | [0xfd00, 0xec2, ..] => Self::LinkLocal,
            // Unique local, multicast, unassigned.
            _ => Self::Private,
        }
    }

    /// The zone of a URL that says it itself: by an address, or by the name of this machine. The
    /// connector asks no resolver about addresses. A URL's parser has already read spellings such
    /// as `0x7f.1`.
    pub(super) fn written_in(url: &reqwest::Url) -> Option<Self> {
        let host = url.host_str()?;
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        if let Ok(address) = bare.unwrap_or(host).parse() {
            return Some(Self::of(address));
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        (name == "localhost" || name.ends_with(".localhost")).then_some(Self::Loopback)
    }
}

/// Resolves names to the addresses that a peer of a zone may name.
pub(super) struct ZoneResolver(pub(super) Zone);

impl ZoneResolver {
    /// For [`reqwest::ClientBuilder::dns_resolver`].
    pub(super) fn shared(from: Zone) -> Arc<Self> {
        Arc::new(Self(from))
    }
}

impl Resolve for ZoneResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let from = self.0;
        Box::pin(async move {
            // The connector puts the URL's port in the place of 0.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<_> = found
                .filter(|address| from.may_name(Zone::of(address.ip())))
                .collect();
            if allowed.is_empty() {
                return Err(OutOfReach.into());
            }
            let addresses: Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

/// A name has no address that may be connected to.
#[derive(Debug)]
pub(super) struct OutOfReach;

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name has private addresses only")
    }
}

impl std::error::Error for OutOfReach {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_is_in_its_zone() {
        use Zone::{LinkLocal, Loopback, Private, Public};
        for (text, zone) in [
            ("1.1.1.1", Public),
            ("9.255.255.255", Public),
            ("100.63.255.255", Public),
            ("100.128.0.0", Public),
            ("172.15.0.1", Public),
            ("172.32.0.1", Public),
            ("192.0.1.1", Public),
            ("198.17.0.1", Public),
            ("198.20.0.1", Public),
            ("223.255.255.255", Public),
            ("0.0.0.0", Loopback),
            ("0.1.2.3", Loopback),
            ("10.0.0.1", Private),
            ("100.64.0.1", Private),
            ("100.127.255.255", Private),
            ("127.0.0.1", Loopback),
            ("127.255.255.254", Loopback),
            ("169.254.169.254", LinkLocal),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.0.0.8", Private),
            ("192.0.2.1", Private),
            ("192.88.99.1", Private),
            ("192.168.1.1", Private),
            ("198.18.0.1", Private),
            ("198.19.255.255", Private),
            ("198.51.100.1", Private),
            ("203.0.113.1", Private),
            ("224.0.0.1", Private),
            ("240.0.0.1", Private),
            ("255.255.255.255", Private),
            ("2606:4700::1111", Public),
            ("2001:4860:4860::8888", Public),
            ("2001:200::1", Public),
            ("64:ff9b::101:101", Public),
            ("2002:101:101::1", Public),
            ("::", Loopback),
            ("::1", Loopback),
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:1.1.1.1", Public),
            ("::1.1.1.1", Private),
            ("64:ff9b::7f00:1", Loopback),
            ("64:ff9b:1::101:101", Private),
            ("100::1", Private),
            ("2001::1", Private),
            ("2001:2::1", Private),
            ("2001:db8::1", Private),
            ("2002:a00:1::1", Private),
            ("3fff:fff::1", Private),
            ("4000::1", Private),
            ("fc00::1", Private),
            ("fd12:3456::1", Private),
            ("fe80::1", LinkLocal),
            ("ff02::1", Private),
            ("febf::1", LinkLocal),
            ("fec0::1", Private),
            ("fd00:ec2::254", LinkLocal),
            ("100.100.100.200", LinkLocal),
            ("168.63.129.16", LinkLocal),
        ] {
            assert_eq!(Zone::of(text.parse().unwrap()), zone, "{text}");
        }
    }

    #[test]
    fn a_peer_names_its_own_network_and_those_around_it() {
        use Zone::{LinkLocal, Loopback, Private, Public};
        for (from, reach) in [
            (Public, &[Public][..]),
            (Private, &[Public, Private]),
            (LinkLocal, &[Public, Private, LinkLocal]),
            (Loopback, &[Public, Private, Loopback]),
        ] {
            let allowed = Zone::ALL.into_iter().filter(|it| from.may_name(*it));
            assert_eq!(allowed.collect::<Vec<_>>(), reach, "{from:?}");
        }
    }

    #[test]
    fn addresses_in_urls_are_seen_in_every_spelling() {
        for (url, zone) in [
            ("http://127.0.0.1/", Some(Zone::Loopback)),
            ("http://2130706433/", Some(Zone::Loopback)),
            ("http://0x7f.1:8080/a", Some(Zone::Loopback)),
            ("https://[::1]/", Some(Zone::Loopback)),
            ("https://[::ffff:10.0.0.1]:1/", Some(Zone::Private)),
            ("http://1.1.1.1/", Some(Zone::Public)),
            ("https://[2606:4700::1111]/", Some(Zone::Public)),
            ("http://LocalHost:1/", Some(Zone::Loopback)),
            ("http://a.localhost./", Some(Zone::Loopback)),
            // The resolver's business.
            ("http://localhost.example/", None),
        ] {
            let parsed = reqwest::Url::parse(url).unwrap();
            assert_eq!(Zone::written_in(&parsed), zone, "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_of_this_machine_is_for_this_machine() {
        let name = || "localhost".parse().unwrap();
        for zone in [Zone::Public, Zone::Private, Zone::LinkLocal] {
            let answer = ZoneResolver(zone).resolve(name()).await;
            let Err(error) = answer else {
                panic!("localhost was resolved for {zone:?}");
            };
            assert!(error.is::<OutOfReach>(), "{error}");
        }
        assert!(ZoneResolver(Zone::Loopback).resolve(name()).await.is_ok());
    }
}
