//! The container half of an image config, with Go's field names as its JSON members (docker §4.2).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, de::IgnoredAny};

use crate::nullable;

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
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub env: Option<Vec<String>>,
    /// The command, or the default arguments of the entrypoint.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::string_or_list"
    )]
    pub cmd: Option<Vec<String>>,
    /// How to see whether the container is well.
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
    #[serde(skip_serializing_if = "Option::is_none")]
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
        deserialize_with = "nullable::string_or_list"
    )]
    pub entrypoint: Option<Vec<String>>,
    /// Instructions for builds on top of this image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_build: Option<Vec<String>>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shell: Option<Vec<String>>,
}

/// A health check. Durations are nanoseconds; 0 means the engine's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`; empty inherits.
    #[serde(
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable::or_default"
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
