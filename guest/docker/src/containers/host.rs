//! `HostConfig`: how a container would be run. Kept as given; shown with what dockerd fills in.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use strata_oci::json::Members;

use super::filled::{Defaults, Filled};

/// The log driver of those who name none. Clients decide by it whether there are logs.
const LOG_DRIVER: &str = "json-file";

/// Empty, but for what dockerd puts there: clients compare some of these.
const DEFAULTS: Defaults = &[
    ("Binds", "null"),
    ("ContainerIDFile", r#""""#),
    ("LogConfig", r#"{"Type":"json-file","Config":{}}"#),
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

/// How a container would log. The CLI names no driver unless it is told one.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct LogConfig {
    r#type: &'static str,
    config: Box<RawValue>,
}

/// The host config `given`, as it is shown; `network_mode` is [`network_mode`]'s.
pub(super) fn filled<'a>(given: &'a Members, network_mode: &str) -> Filled<'a> {
    let log = given.object("LogConfig");
    let nothing = || RawValue::from_string("{}".to_owned());
    let config = log.get("Config").map(|config| Ok(config.to_owned()));
    let config = config.unwrap_or_else(nothing).ok();
    let log_config = config.filter(|_| log.text("Type").is_empty());
    let log_config = log_config.and_then(|config| {
        to_raw_value(&LogConfig {
            r#type: LOG_DRIVER,
            config,
        })
        .ok()
    });
    let network_mode = to_raw_value(network_mode).ok();
    let replaced = [("NetworkMode", network_mode), ("LogConfig", log_config)];
    let replaced = replaced.into_iter();
    Filled {
        given,
        defaults: DEFAULTS,
        optional: &OPTIONAL,
        replaced: replaced
            .filter_map(|(key, value)| Some((key, value?)))
            .collect(),
    }
}

/// Whether a container goes as soon as it does not run any more.
pub(super) fn auto_remove(host_config: &Members) -> bool {
    let given = host_config.get("AutoRemove");
    given.is_some_and(|given| given.get() == "true")
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
    fn the_log_driver_is_always_named() {
        for (given, expected) in [
            ("{}", r#"{"Type":"json-file","Config":{}}"#),
            (
                r#"{"LogConfig":null}"#,
                r#"{"Type":"json-file","Config":{}}"#,
            ),
            (
                r#"{"LogConfig":{"Type":"","Config":{"max-size":"1m"}}}"#,
                r#"{"Type":"json-file","Config":{"max-size":"1m"}}"#,
            ),
            (
                r#"{"LogConfig":{"Type":"","Config":null}}"#,
                r#"{"Type":"json-file","Config":{}}"#,
            ),
            (
                r#"{"LogConfig":{"Type":"none","Config":{}}}"#,
                r#"{"Type":"none","Config":{}}"#,
            ),
        ] {
            let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
            assert_eq!(shown(given)["LogConfig"], expected, "{given}");
        }
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
