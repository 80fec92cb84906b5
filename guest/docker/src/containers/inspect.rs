//! `GET /containers/{id}/json`.

use serde::Serialize;
use strata_engine::{ContainerDetails, Host};
use strata_http::Reply;
use strata_oci::{Descriptor, Digest, json::Members, timestamp};

use super::{
    CREATED,
    config::Shown,
    filled::{Defaults, Filled},
    host,
    networks::Networks,
};
use crate::{
    Asked, failure::Failure, images::ZERO_TIME, reply, system::DRIVER, version::ApiVersion,
};

/// Digits of an ID that are a host name.
const HOSTNAME_DIGITS: usize = 12;

/// What the settings of the default network were said to be before 1.52, besides.
const LEGACY_NETWORK: Defaults = &[
    ("Bridge", r#""""#),
    ("HairpinMode", "false"),
    ("LinkLocalIPv6Address", r#""""#),
    ("LinkLocalIPv6PrefixLen", "0"),
    ("SecondaryIPAddresses", "null"),
    ("SecondaryIPv6Addresses", "null"),
    ("EndpointID", r#""""#),
    ("Gateway", r#""""#),
    ("GlobalIPv6Address", r#""""#),
    ("GlobalIPv6PrefixLen", "0"),
    ("IPAddress", r#""""#),
    ("IPPrefixLen", "0"),
    ("IPv6Gateway", r#""""#),
    ("MacAddress", r#""""#),
];

/// Answers an inspection.
///
/// # Errors
/// The engine's.
pub(crate) async fn inspect<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let size = asked.boolean("size");
    let details = asked.engine.container(asked.name, size).await?;
    let members = |json: &Option<_>| json.as_deref().map(Members::of).unwrap_or_default();
    let given = Given {
        host: members(&details.host_config),
        networking: members(&details.networking_config),
        nothing: Members::default(),
    };
    let network_mode = host::network_mode(&given.host);
    let inspected = Inspected::new(&details, asked.version, size, &given, &network_mode);
    reply::json(&inspected)
}

/// What was given at creation.
struct Given {
    host: Members,
    networking: Members,
    nothing: Members,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected<'a> {
    id: &'a str,
    created: String,
    path: &'a str,
    args: Vec<&'a str>,
    state: State,
    image: &'a Digest,
    resolv_conf_path: &'static str,
    hostname_path: &'static str,
    hosts_path: &'static str,
    log_path: &'static str,
    name: String,
    restart_count: u32,
    driver: &'static str,
    platform: &'a str,
    mount_label: &'static str,
    process_label: &'static str,
    app_armor_profile: &'static str,
    #[serde(rename = "ExecIDs")]
    exec_ids: (),
    host_config: Filled<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    graph_driver: Option<GraphDriver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    storage: Option<Storage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    mounts: [(); 0],
    config: Shown<'a>,
    network_settings: NetworkSettings<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_manifest_descriptor: Option<Descriptor>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    status: &'static str,
    running: bool,
    paused: bool,
    restarting: bool,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    dead: bool,
    pid: u32,
    exit_code: i32,
    error: &'static str,
    started_at: &'static str,
    finished_at: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GraphDriver {
    name: &'static str,
    data: (),
}

#[derive(Serialize)]
struct Storage {
    #[serde(rename = "RootFS")]
    root_fs: RootFs,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RootFs {
    snapshot: Snapshot,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Snapshot {
    name: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct NetworkSettings<'a> {
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    legacy: Option<Filled<'a>>,
    #[serde(rename = "SandboxID")]
    sandbox_id: &'static str,
    sandbox_key: &'static str,
    ports: Ports,
    networks: Networks,
}

#[derive(Serialize)]
struct Ports {}

impl<'a> Inspected<'a> {
    fn new(
        details: &'a ContainerDetails,
        version: ApiVersion,
        size: bool,
        given: &'a Given,
        network_mode: &'a str,
    ) -> Self {
        let words = [&details.config.entrypoint, &details.config.cmd];
        let mut words = words.into_iter().flatten().flatten().map(String::as_str);
        let path = words.next().unwrap_or_default();
        let args = words.collect();
        let (secs, nanos) = details.created;
        let is_legacy = !version.at_least(52);
        let hostname = details.id.get(..HOSTNAME_DIGITS).unwrap_or(&details.id);
        Self {
            id: &details.id,
            created: timestamp::format_rfc3339_nano(secs, nanos),
            path,
            args,
            state: State {
                status: CREATED,
                running: false,
                paused: false,
                restarting: false,
                oom_killed: false,
                dead: false,
                pid: 0,
                exit_code: 0,
                error: "",
                started_at: ZERO_TIME,
                finished_at: ZERO_TIME,
            },
            image: &details.image_id,
            resolv_conf_path: "",
            hostname_path: "",
            hosts_path: "",
            log_path: "",
            name: format!("/{}", details.name),
            restart_count: 0,
            driver: DRIVER,
            platform: &details.platform.os,
            mount_label: "",
            process_label: "",
            app_armor_profile: "",
            exec_ids: (),
            host_config: host::filled(&given.host, network_mode),
            graph_driver: is_legacy.then_some(GraphDriver {
                name: DRIVER,
                data: (),
            }),
            storage: (!is_legacy).then_some(Storage {
                root_fs: RootFs {
                    snapshot: Snapshot { name: DRIVER },
                },
            }),
            size_rw: size.then_some(details.size_changed),
            size_root_fs: details.size_total,
            mounts: [],
            config: Shown::new(&details.config, &details.image, hostname, version),
            network_settings: NetworkSettings {
                legacy: is_legacy.then_some(Filled {
                    given: &given.nothing,
                    defaults: LEGACY_NETWORK,
                    optional: &[],
                    replaced: Vec::new(),
                }),
                sandbox_id: "",
                sandbox_key: "",
                ports: Ports {},
                networks: Networks::new(&given.host, &given.networking),
            },
            image_manifest_descriptor: version.at_least(48).then(|| manifest(details)),
        }
    }
}

/// The manifest, with the platform it is for.
fn manifest(details: &ContainerDetails) -> Descriptor {
    let mut manifest = details.manifest.clone();
    let platform = manifest.platform.take();
    manifest.platform = platform.or_else(|| Some(details.platform.clone()));
    manifest
}
