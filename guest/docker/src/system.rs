//! The endpoints around images: ping, version and info.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/System>

use std::collections::BTreeMap;

use http::{
    HeaderName, HeaderValue, Method, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA},
};
use serde::Serialize;
use strata_engine::{Host, Settings};
use strata_http::Reply;
use strata_oci::timestamp;

use crate::{
    Asked,
    failure::Failure,
    reply,
    version::{MAX_API_VERSION, MIN_API_VERSION},
};

/// The word that stands where dockerd names its storage driver.
pub(crate) const DRIVER: &str = "strata";

const HUB: &str = "docker.io";
const HUB_INDEX: &str = "https://index.docker.io/v1/";
/// The addresses always reached by plain HTTP where TLS fails, as in dockerd.
const LOOPBACK: [&str; 2] = ["::1/128", "127.0.0.0/8"];

/// `OK`, and in the headers what clients choose their behaviour by.
pub(crate) fn ping(method: &Method) -> Reply {
    let mut reply = if method == Method::HEAD {
        let mut reply = Reply::empty(StatusCode::OK);
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        reply.headers.insert(CONTENT_TYPE, text);
        reply
    } else {
        Reply::text(StatusCode::OK, b"OK".to_vec())
    };
    for (name, value) in [
        (CACHE_CONTROL, "no-cache, no-store, must-revalidate"),
        (PRAGMA, "no-cache"),
        // The classic builder: there is no BuildKit here.
        (HeaderName::from_static("builder-version"), "1"),
        (HeaderName::from_static("swarm"), "inactive"),
    ] {
        reply.headers.insert(name, HeaderValue::from_static(value));
    }
    reply
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Version<'a> {
    platform: Name<'a>,
    components: [Component<'a>; 1],
    version: &'a str,
    api_version: &'a str,
    #[serde(rename = "MinAPIVersion")]
    min_api_version: &'a str,
    git_commit: &'a str,
    go_version: &'a str,
    os: &'a str,
    arch: &'a str,
    kernel_version: &'a str,
    build_time: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Name<'a> {
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Component<'a> {
    name: &'a str,
    version: &'a str,
    details: BTreeMap<&'a str, &'a str>,
}

/// Answers `/version`. Go's version, the commit and the build time are not ours to tell, but the CLI
/// prints `<no value>` where they are missing.
///
/// # Errors
/// None in practice.
pub(crate) fn version<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let Settings {
        version, platform, ..
    } = asked.engine.settings();
    let kernel = &asked.host.kernel;
    let details = BTreeMap::from([
        ("ApiVersion", MAX_API_VERSION),
        ("Arch", &platform.architecture),
        ("BuildTime", ""),
        ("Experimental", "false"),
        ("GitCommit", ""),
        ("GoVersion", ""),
        ("KernelVersion", kernel),
        ("MinAPIVersion", MIN_API_VERSION),
        ("Os", &platform.os),
    ]);
    reply::json(&Version {
        platform: Name { name: "strata" },
        components: [Component {
            name: "Engine",
            version,
            details,
        }],
        version,
        api_version: MAX_API_VERSION,
        min_api_version: MIN_API_VERSION,
        git_commit: "",
        go_version: "",
        os: &platform.os,
        arch: &platform.architecture,
        kernel_version: kernel,
        build_time: "",
    })
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Info<'a> {
    #[serde(rename = "ID")]
    id: &'a str,
    containers: usize,
    containers_running: u32,
    containers_paused: u32,
    containers_stopped: usize,
    images: usize,
    driver: &'a str,
    driver_status: [[&'a str; 2]; 1],
    plugins: Plugins,
    debug: bool,
    system_time: String,
    logging_driver: &'a str,
    cgroup_driver: &'a str,
    kernel_version: &'a str,
    operating_system: &'a str,
    #[serde(rename = "OSType")]
    os_type: &'a str,
    architecture: &'a str,
    index_server_address: &'a str,
    registry_config: RegistryConfig<'a>,
    #[serde(rename = "NCPU")]
    processors: u32,
    mem_total: u64,
    docker_root_dir: &'a str,
    name: &'a str,
    labels: [&'a str; 0],
    experimental_build: bool,
    server_version: &'a str,
    default_runtime: &'a str,
    swarm: Swarm<'a>,
    live_restore_enabled: bool,
    security_options: [&'a str; 0],
    warnings: [&'a str; 0],
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Plugins {
    volume: [&'static str; 0],
    network: [&'static str; 0],
    authorization: [&'static str; 0],
    log: [&'static str; 0],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Swarm<'a> {
    #[serde(rename = "NodeID")]
    node_id: &'a str,
    node_addr: &'a str,
    local_node_state: &'a str,
    control_available: bool,
    error: &'a str,
    /// Managers elsewhere, null: there are none.
    remote_managers: (),
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct RegistryConfig<'a> {
    #[serde(rename = "InsecureRegistryCIDRs")]
    insecure_registry_cidrs: [&'a str; 2],
    index_configs: BTreeMap<&'a str, IndexConfig<'a>>,
    mirrors: Vec<&'a str>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct IndexConfig<'a> {
    name: &'a str,
    mirrors: Vec<&'a str>,
    secure: bool,
    official: bool,
}

/// Answers `/info`.
///
/// # Errors
/// The engine's, when it cannot count its images and containers.
pub(crate) async fn info<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let Asked { engine, host, .. } = asked;
    let settings = engine.settings();
    let (secs, nanos) = engine.now();
    // All of them: none ever runs.
    let containers = engine.container_count().await?;
    reply::json(&Info {
        id: &host.id,
        containers,
        containers_running: 0,
        containers_paused: 0,
        containers_stopped: containers,
        images: engine.image_count().await?,
        driver: DRIVER,
        // What clients know the containerd kind of store by, whose IDs and archives these are.
        driver_status: [["driver-type", "io.containerd.snapshotter.v1"]],
        plugins: Plugins::default(),
        debug: false,
        system_time: timestamp::format_rfc3339_nano(secs, nanos),
        logging_driver: "",
        cgroup_driver: "none",
        kernel_version: &host.kernel,
        operating_system: &settings.platform.os,
        os_type: "linux",
        architecture: machine(&settings.platform.architecture),
        index_server_address: HUB_INDEX,
        registry_config: registry_config(settings),
        processors: host.processors,
        mem_total: host.memory,
        docker_root_dir: &host.root,
        name: &host.hostname,
        labels: [],
        experimental_build: false,
        server_version: &settings.version,
        default_runtime: "",
        swarm: Swarm {
            node_id: "",
            node_addr: "",
            local_node_state: "inactive",
            control_available: false,
            error: "",
            remote_managers: (),
        },
        live_restore_enabled: false,
        security_options: [],
        warnings: [],
    })
}

fn registry_config(settings: &Settings) -> RegistryConfig<'_> {
    let mirrors_of = |registry: &str| -> Vec<&str> {
        let mirrors = settings
            .mirrors
            .iter()
            .filter(|mirror| mirror.host == registry);
        mirrors.map(|mirror| mirror.url.as_str()).collect()
    };
    let config = |name, secure| IndexConfig {
        name,
        mirrors: mirrors_of(name),
        secure,
        official: name == HUB,
    };
    let insecure = settings.insecure_registries.iter();
    let mut index_configs: BTreeMap<_, _> = insecure
        .map(|name| (name.as_str(), config(name, false)))
        .collect();
    index_configs
        .entry(HUB)
        .or_insert_with(|| config(HUB, true));
    RegistryConfig {
        insecure_registry_cidrs: LOOPBACK,
        index_configs,
        mirrors: mirrors_of(HUB),
    }
}

/// An architecture as kernels call it, which is what `docker info` shows.
fn machine(architecture: &str) -> &str {
    match architecture {
        "amd64" => "x86_64",
        "arm64" => "aarch64",
        "386" => "i686",
        "arm" => "armv7l",
        other => other,
    }
}
