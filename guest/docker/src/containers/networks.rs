//! The networks a container would join.

use std::collections::HashMap;

use serde::{Serialize, Serializer, ser::SerializeMap};
use strata_oci::json::Members;

use super::{
    filled::{Defaults, Filled},
    host,
};

const ENDPOINT: Defaults = &[
    ("IPAMConfig", "null"),
    ("Links", "null"),
    ("Aliases", "null"),
    ("MacAddress", r#""""#),
    ("DriverOpts", "null"),
    ("GwPriority", "0"),
    ("NetworkID", r#""""#),
    ("EndpointID", r#""""#),
    ("Gateway", r#""""#),
    ("IPAddress", r#""""#),
    ("IPPrefixLen", "0"),
    ("IPv6Gateway", r#""""#),
    ("GlobalIPv6Address", r#""""#),
    ("GlobalIPv6PrefixLen", "0"),
    ("DNSNames", "null"),
];

/// Networks with their endpoints: an object by name.
pub(super) struct Networks(Vec<(String, Members)>);

impl Networks {
    /// Those `networking` names, and the one of the network mode.
    pub(super) fn new(host_config: &Members, networking: &Members) -> Self {
        let mode = host::network_mode(host_config);
        if mode.starts_with("container:") {
            return Self(Vec::new());
        }
        let endpoints = networking.object("EndpointsConfig");
        let mut networks: Vec<(String, Members)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for (name, endpoint) in endpoints.iter() {
            let name = match name {
                "default" => mode.clone(),
                name => name.to_owned(),
            };
            // The last one of each name.
            match places.get(&name).and_then(|place| networks.get_mut(*place)) {
                Some((_, earlier)) => *earlier = Members::of(endpoint),
                None => {
                    places.insert(name.clone(), networks.len());
                    networks.push((name, Members::of(endpoint)));
                }
            }
        }
        let is_builtin = matches!(mode.as_str(), "bridge" | "host" | "none");
        let has_mode = networks.iter().any(|(name, _)| *name == mode);
        if networks.is_empty() || !is_builtin && !has_mode {
            networks.push((mode, Members::default()));
        }
        Self(networks)
    }

    /// Whether a network of this name is among them.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|(network, _)| network == name)
    }
}

impl Serialize for Networks {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, given) in &self.0 {
            let endpoint = Filled {
                given,
                defaults: ENDPOINT,
                optional: &[],
                replaced: Vec::new(),
            };
            map.serialize_entry(name, &endpoint)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_joins_what_it_names_and_its_mode() {
        for (host, networking, expected) in [
            ("{}", "{}", &["bridge"][..]),
            (r#"{"NetworkMode":"none"}"#, "{}", &["none"]),
            (r#"{"NetworkMode":"container:a"}"#, "{}", &[]),
            (r#"{"NetworkMode":"mine"}"#, "{}", &["mine"]),
            (
                "{}",
                r#"{"EndpointsConfig":{"a":null,"b":{},"a":{}}}"#,
                &["a", "b"],
            ),
            (
                r#"{"NetworkMode":"mine"}"#,
                r#"{"EndpointsConfig":{"a":{}}}"#,
                &["a", "mine"],
            ),
            (
                r#"{"NetworkMode":"default"}"#,
                r#"{"EndpointsConfig":{"default":{}}}"#,
                &["bridge"],
            ),
        ] {
            let host: Members = serde_json::from_str(host).unwrap();
            let networking = serde_json::from_str(networking).unwrap();
            let networks = Networks::new(&host, &networking);
            let names: Vec<_> = networks.0.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, expected, "{networking:?}");
        }
    }

    #[test]
    fn an_endpoint_has_every_member() {
        let networking =
            serde_json::from_str(r#"{"EndpointsConfig":{"a":{"Aliases":["x"]}}}"#).unwrap();
        let networks = Networks::new(&Members::default(), &networking);
        let json = serde_json::to_value(networks).unwrap();
        assert_eq!(json["a"]["Aliases"][0], "x");
        assert_eq!(json["a"].as_object().unwrap().len(), ENDPOINT.len());
    }
}
