//! `HostConfig`: how a container would be run. Kept as given; shown with what dockerd fills in.

use super::filled::{Defaults, Filled};
use crate::body::Members;

/// Empty, but for what dockerd puts there: clients compare some of these.
const DEFAULTS: Defaults = &[
    ("Binds", "null"),
    ("ContainerIDFile", r#""""#),
    ("LogConfig", r#"{"Type":"","Config":{}}"#),
    ("NetworkMode", r#""bridge""#),
    ("PortBindings", "{}"),
    ("RestartPolicy", r#"{"Name":"no","MaximumRetryCount":0}"#),
    ("AutoRemove", "false"),
    ("VolumeDriver", r#""""#),
    ("VolumesFrom", "null"),
    ("ConsoleSize", "[0,0]"),
    ("CapAdd", "null"),
    ("CapDrop", "null"),
    ("CgroupnsMode", r#""private""#),
    ("Dns", "[]"),
    ("DnsOptions", "[]"),
    ("DnsSearch", "[]"),
    ("ExtraHosts", "null"),
    ("GroupAdd", "null"),
    ("IpcMode", r#""private""#),
    ("Cgroup", r#""""#),
    ("Links", "null"),
    ("OomScoreAdj", "0"),
    ("PidMode", r#""""#),
    ("Privileged", "false"),
    ("PublishAllPorts", "false"),
    ("ReadonlyRootfs", "false"),
    ("SecurityOpt", "null"),
    ("UTSMode", r#""""#),
    ("UsernsMode", r#""""#),
    ("ShmSize", "67108864"),
    ("Isolation", r#""""#),
    ("CpuShares", "0"),
    ("Memory", "0"),
    ("NanoCpus", "0"),
    ("CgroupParent", r#""""#),
    ("BlkioWeight", "0"),
    ("BlkioWeightDevice", "[]"),
    ("BlkioDeviceReadBps", "[]"),
    ("BlkioDeviceWriteBps", "[]"),
    ("BlkioDeviceReadIOps", "[]"),
    ("BlkioDeviceWriteIOps", "[]"),
    ("CpuPeriod", "0"),
    ("CpuQuota", "0"),
    ("CpuRealtimePeriod", "0"),
    ("CpuRealtimeRuntime", "0"),
    ("CpusetCpus", r#""""#),
    ("CpusetMems", r#""""#),
    ("Devices", "[]"),
    ("DeviceCgroupRules", "null"),
    ("DeviceRequests", "null"),
    ("MemoryReservation", "0"),
    ("MemorySwap", "0"),
    ("MemorySwappiness", "null"),
    ("OomKillDisable", "null"),
    ("PidsLimit", "null"),
    ("Ulimits", "[]"),
    ("CpuCount", "0"),
    ("CpuPercent", "0"),
    ("IOMaximumIOps", "0"),
    ("IOMaximumBandwidth", "0"),
    ("MaskedPaths", "null"),
    ("ReadonlyPaths", "null"),
];

const OPTIONAL: [&str; 7] = [
    "Annotations",
    "Mounts",
    "StorageOpt",
    "Tmpfs",
    "Sysctls",
    "Runtime",
    "Init",
];

/// The host config `given`, as it is shown; `network_mode` is [`network_mode`]'s.
pub(super) fn filled<'a>(given: &'a Members, network_mode: &'a str) -> Filled<'a> {
    Filled {
        given,
        defaults: DEFAULTS,
        optional: &OPTIONAL,
        replaced: Some(("NetworkMode", network_mode)),
    }
}

/// The network a container would start with.
pub(super) fn network_mode(host_config: &Members) -> String {
    match host_config.text("NetworkMode").as_str() {
        "" | "default" => "bridge".to_owned(),
        mode => mode.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(given: &str) -> serde_json::Value {
        let given: Members = serde_json::from_str(given).unwrap();
        serde_json::to_value(filled(&given, &network_mode(&given))).unwrap()
    }

    #[test]
    fn what_is_given_replaces_its_default() {
        let all = shown("{}");
        assert_eq!(all.as_object().unwrap().len(), DEFAULTS.len());
        assert_eq!(all["RestartPolicy"]["Name"], "no");
        assert_eq!(all["ShmSize"], 67_108_864);
        let some = shown(r#"{"memory":5,"Binds":["/a:/b"],"Init":true,"ShmSize":null,"X":1}"#);
        assert_eq!(some["Memory"], 5);
        assert_eq!(some["Binds"][0], "/a:/b");
        assert_eq!(some["Init"], true);
        assert_eq!(some["ShmSize"], 67_108_864);
        assert!(some.get("X").is_none(), "nobody knows it");
    }

    #[test]
    fn the_default_network_is_the_bridge() {
        for (given, expected) in [
            ("{}", "bridge"),
            (r#"{"NetworkMode":""}"#, "bridge"),
            (r#"{"NetworkMode":"default"}"#, "bridge"),
            (r#"{"NetworkMode":7}"#, "bridge"),
            (r#"{"NetworkMode":"host"}"#, "host"),
            (r#"{"NetworkMode":"mine"}"#, "mine"),
        ] {
            assert_eq!(shown(given)["NetworkMode"], expected, "{given}");
        }
    }
}
