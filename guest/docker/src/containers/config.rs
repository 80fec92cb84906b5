//! A container's `Config`: as clients give it and as they are shown it.

use std::collections::BTreeMap;

use serde::Serialize;
use strata_oci::{
    config::{ContainerConfig, Empty, Healthcheck},
    json::{self, Members},
};

use crate::{failure::Failure, version::ApiVersion};

/// The members that make a request have a config.
const MEMBERS: [&str; 24] = [
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "NetworkDisabled",
    "OnBuild",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Shell",
];

/// The config among `members`; `None` if not one of them belongs to it.
///
/// # Errors
/// 400 if one has the wrong type.
pub(super) fn read(members: &Members) -> Result<Option<ContainerConfig>, Failure> {
    if !MEMBERS.iter().any(|name| members.contains(name)) {
        return Ok(None);
    }
    let object = members.object_of(|key| MEMBERS.iter().any(|it| it.eq_ignore_ascii_case(key)));
    let config = json::from_slice(object.as_bytes());
    config.map(Some).map_err(|error| Failure::json(&error))
}

/// A config as it is shown: what is empty is mostly there.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Shown<'a> {
    hostname: &'a str,
    domainname: &'a str,
    user: &'a str,
    attach_stdin: bool,
    attach_stdout: bool,
    attach_stderr: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    exposed_ports: Option<&'a BTreeMap<String, Empty>>,
    tty: bool,
    open_stdin: bool,
    stdin_once: bool,
    env: Option<&'a [String]>,
    cmd: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    healthcheck: Option<&'a Healthcheck>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    args_escaped: bool,
    image: &'a str,
    volumes: Map<'a, Empty>,
    working_dir: &'a str,
    entrypoint: Option<&'a [String]>,
    /// Null before 1.52 when there is none, then left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    on_build: Option<Option<&'a [String]>>,
    labels: Map<'a, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_timeout: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shell: Option<&'a [String]>,
}

/// A map that is `{}` when there is none.
#[derive(Serialize)]
#[serde(untagged)]
enum Map<'a, T> {
    Given(&'a BTreeMap<String, T>),
    Missing(Empty),
}

impl<'a, T> Map<'a, T> {
    fn new(map: &'a Option<BTreeMap<String, T>>) -> Self {
        map.as_ref()
            .map_or(Self::Missing(Empty::default()), Self::Given)
    }
}

impl<'a> Shown<'a> {
    /// The config of a container that was created from `image`; without host name it is called `hostname`.
    pub(super) fn new(
        config: &'a ContainerConfig,
        image: &'a str,
        hostname: &'a str,
        version: ApiVersion,
    ) -> Self {
        let on_build = config.on_build.as_deref();
        Self {
            hostname: match config.hostname.as_str() {
                "" => hostname,
                given => given,
            },
            domainname: &config.domainname,
            user: &config.user,
            attach_stdin: config.attach_stdin,
            attach_stdout: config.attach_stdout,
            attach_stderr: config.attach_stderr,
            exposed_ports: config.exposed_ports.as_ref().filter(|map| !map.is_empty()),
            tty: config.tty,
            open_stdin: config.open_stdin,
            stdin_once: config.stdin_once,
            env: config.env.as_deref(),
            cmd: config.cmd.as_deref(),
            healthcheck: config.healthcheck.as_ref(),
            args_escaped: config.args_escaped,
            image,
            volumes: Map::new(&config.volumes),
            working_dir: &config.working_dir,
            entrypoint: config.entrypoint.as_deref(),
            on_build: (on_build.is_some() || !version.at_least(52)).then_some(on_build),
            labels: Map::new(&config.labels),
            stop_signal: config.stop_signal.as_deref(),
            stop_timeout: config.stop_timeout,
            shell: config.shell.as_deref(),
        }
    }
}
