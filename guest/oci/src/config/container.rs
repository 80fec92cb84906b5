//! The container half of an image config, with Go's field names as its JSON members: OCI's `config`, and what
//! Docker adds to it.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#properties>

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

use crate::{
    json::{self, limits},
    nullable,
};

/// How to run a container. Serialising leaves out what is empty, as engines do from API 1.52 on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ContainerConfig {
    /// Host name.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable::or_default"
    )]
    pub hostname: String,
    /// Domain name.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable::or_default"
    )]
    pub domainname: String,
    /// `user[:group]`, by name or number; empty is root.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable::or_default"
    )]
    pub user: String,
    /// Whether standard input is attached.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub attach_stdin: bool,
    /// Whether standard output is attached.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub attach_stdout: bool,
    /// Whether standard error is attached.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub attach_stderr: bool,
    /// Ports by `number/protocol`.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limits::ports"
    )]
    pub exposed_ports: Option<BTreeMap<String, Empty>>,
    /// Whether there is a terminal.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub tty: bool,
    /// Whether standard input stays open.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub open_stdin: bool,
    /// Whether standard input closes with its first client.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub stdin_once: bool,
    /// The environment, `NAME=value` each.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limits::env"
    )]
    pub env: Option<Vec<String>>,
    /// The command, or the default arguments of the entrypoint.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::cmd"
    )]
    pub cmd: Option<Vec<String>>,
    /// The check of whether the container is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Windows: whether the command line is escaped already.
    #[serde(
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub args_escaped: bool,
    /// The reference or ID of the image, as the classic builder wrote it.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable::or_default"
    )]
    pub image: String,
    /// Mount points, by path.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limits::volumes"
    )]
    pub volumes: Option<BTreeMap<String, Empty>>,
    /// The working directory; empty is `/`.
    #[serde(
        skip_serializing_if = "String::is_empty",
        deserialize_with = "nullable::or_default"
    )]
    pub working_dir: String,
    /// The program to run.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::entrypoint"
    )]
    pub entrypoint: Option<Vec<String>>,
    /// Instructions for builds on top of this image.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limits::on_build"
    )]
    pub on_build: Option<Vec<String>>,
    /// Labels.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limits::labels"
    )]
    pub labels: Option<BTreeMap<String, String>>,
    /// The signal that stops the container, by name or number.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub stop_signal: Option<String>,
    /// Seconds between that signal and the kill.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_timeout: Option<i64>,
    /// The shell of the shell form of commands.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "limits::shell"
    )]
    pub shell: Option<Vec<String>>,
}

/// More of something than a config may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the config has {count} {what}, the limit is {most}")]
pub struct TooMany {
    /// What there is too much of.
    what: &'static str,
    /// How many.
    count: usize,
    /// The most.
    most: usize,
}

impl ContainerConfig {
    /// Tells whether a config that was made here has no more of anything than one that is read may have: as part of an
    /// image it could not be read again.
    ///
    /// # Errors
    /// [`TooMany`], with the first.
    pub fn check(&self) -> Result<(), TooMany> {
        let words = |words: &Option<Vec<String>>| words.as_ref().map_or(0, Vec::len);
        let test = self.healthcheck.as_ref().map_or(0, |it| it.test.len());
        let ports = self.exposed_ports.as_ref().map_or(0, BTreeMap::len);
        let volumes = self.volumes.as_ref().map_or(0, BTreeMap::len);
        let labels = self.labels.as_ref().map_or(0, BTreeMap::len);
        for (what, count, most) in [
            ("labels", labels, json::MAX_LABELS),
            ("environment variables", words(&self.env), json::MAX_WORDS),
            ("words of the command", words(&self.cmd), json::MAX_WORDS),
            (
                "words of the entrypoint",
                words(&self.entrypoint),
                json::MAX_WORDS,
            ),
            ("words of the shell", words(&self.shell), json::MAX_WORDS),
            ("triggers", words(&self.on_build), json::MAX_WORDS),
            ("words of the health check", test, json::MAX_WORDS),
            ("exposed ports", ports, json::MAX_PORTS),
            ("volumes", volumes, json::MAX_VOLUMES),
        ] {
            if count > most {
                return Err(TooMany { what, count, most });
            }
        }
        Ok(())
    }

    /// Fills its holes from `base`, as `docker create` does with the image's config and `docker commit` with the
    /// container's.
    ///
    /// `env` is merged by name, and `exposed_ports`, `labels` and `volumes` are united: its own entries win. `user`,
    /// `working_dir`, `stop_signal` and each member of `healthcheck` are taken where empty. `cmd` and `entrypoint` are
    /// a pair: with an entrypoint of its own neither is taken, and an empty one, unlike none, stays. All else belongs
    /// to one container and is left alone.
    pub fn inherit(&mut self, base: &Self) {
        inherit_text(&mut self.user, &base.user);
        inherit_text(&mut self.working_dir, &base.working_dir);
        inherit_members(&mut self.exposed_ports, &base.exposed_ports);
        inherit_members(&mut self.labels, &base.labels);
        inherit_members(&mut self.volumes, &base.volumes);
        inherit_env(&mut self.env, &base.env);
        if self.entrypoint.as_ref().is_none_or(Vec::is_empty) {
            if self.cmd.as_ref().is_none_or(Vec::is_empty) {
                self.cmd.clone_from(&base.cmd);
            }
            if self.entrypoint.is_none() {
                self.entrypoint.clone_from(&base.entrypoint);
            }
        }
        match (&mut self.healthcheck, &base.healthcheck) {
            (Some(own), Some(base)) => own.inherit(base),
            (own @ None, Some(base)) => *own = Some(base.clone()),
            (_, None) => {}
        }
        if self.stop_signal.as_ref().is_none_or(String::is_empty) {
            self.stop_signal.clone_from(&base.stop_signal);
        }
    }
}

impl Healthcheck {
    /// Fills its holes from `base`.
    fn inherit(&mut self, base: &Self) {
        if self.test.is_empty() {
            self.test.clone_from(&base.test);
        }
        for (own, base) in [
            (&mut self.interval, base.interval),
            (&mut self.timeout, base.timeout),
            (&mut self.start_period, base.start_period),
            (&mut self.start_interval, base.start_interval),
            (&mut self.retries, base.retries),
        ] {
            if *own == 0 {
                *own = base;
            }
        }
    }
}

fn inherit_text(own: &mut String, base: &str) {
    if own.is_empty() {
        base.clone_into(own);
    }
}

fn inherit_members<V: Clone>(
    own: &mut Option<BTreeMap<String, V>>,
    base: &Option<BTreeMap<String, V>>,
) {
    let Some(base) = base else { return };
    let own = own.get_or_insert_default();
    for (key, value) in base {
        if !own.contains_key(key) {
            own.insert(key.clone(), value.clone());
        }
    }
}

fn inherit_env(own: &mut Option<Vec<String>>, base: &Option<Vec<String>>) {
    let Some(base) = base else { return };
    let own = own.get_or_insert_default();
    let names: HashSet<String> = own.iter().map(|it| env_name(it).to_owned()).collect();
    let missing = base.iter().filter(|it| !names.contains(env_name(it)));
    own.extend(missing.cloned());
}

/// The name of an environment entry; one without `=` is all name.
fn env_name(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(name, _)| name)
}

/// A health check. Durations are nanoseconds; 0 means the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`; empty inherits.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limits::test"
    )]
    pub test: Vec<String>,
    /// Time between two checks.
    #[serde(
        skip_serializing_if = "is_zero",
        deserialize_with = "nullable::or_default"
    )]
    pub interval: i64,
    /// Time one check may take.
    #[serde(
        skip_serializing_if = "is_zero",
        deserialize_with = "nullable::or_default"
    )]
    pub timeout: i64,
    /// Time to start up, in which failures do not count.
    #[serde(
        skip_serializing_if = "is_zero",
        deserialize_with = "nullable::or_default"
    )]
    pub start_period: i64,
    /// Time between two checks while starting up.
    #[serde(
        skip_serializing_if = "is_zero",
        deserialize_with = "nullable::or_default"
    )]
    pub start_interval: i64,
    /// Failures in a row that make the container unhealthy.
    #[serde(
        skip_serializing_if = "is_zero",
        deserialize_with = "nullable::or_default"
    )]
    pub retries: i64,
}

/// The value of a set member, always written `{}`: Go's sets are maps to nothing. Any JSON is read as it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Empty {}

impl<'de> Deserialize<'de> for Empty {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self {})
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}
