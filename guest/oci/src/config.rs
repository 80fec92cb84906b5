//! Image configs: what to run, for which platform, from which layers, and how the image came to be.
//!
//! OCI's config, <https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md>, and Docker's superset of
//! it. Reading is tolerant: `null`, an empty string where a string may be absent, and unknown members are fine, since
//! configs were written by fifteen years of tools. `Serialize` is for configs made here; one that was stored is never
//! written back.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    digest::Digest,
    json::{self, limits},
    nullable,
    platform::Platform,
    timestamp,
};

mod container;

pub use container::{ContainerConfig, Empty, Healthcheck, TooMany};

/// The largest config accepted, in bytes. Configs are kept whole in memory and the specification sets no
/// limit; the largest seen in the wild, with thousands of history lines, are below 1 MiB.
pub const MAX_CONFIG_BYTES: usize = 8 * 1024 * 1024;

/// Why a config is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// More than [`MAX_CONFIG_BYTES`].
    #[error("image config has {size} bytes, the limit is {MAX_CONFIG_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not JSON, or a member has the wrong type.
    #[error("invalid image config: {0}")]
    Json(#[from] json::Error),
}

impl ConfigError {
    /// Whether the config is sound but more than is taken here.
    pub fn is_over_limit(&self) -> bool {
        match self {
            Self::TooLarge { .. } => true,
            Self::Json(error) => error.is_over_limit(),
        }
    }
}

/// An image config.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339 as written; see [`ImageConfig::created_unix`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub created: Option<String>,
    /// Who made it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub author: Option<String>,
    /// The architecture, as in [`Platform::architecture`]; empty if not stated.
    #[serde(default, deserialize_with = "nullable::word")]
    pub architecture: String,
    /// The operating system, as in [`Platform::os`]; empty if not stated.
    #[serde(default, deserialize_with = "nullable::word")]
    pub os: String,
    /// The system's version, as in [`Platform::os_version`].
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_word"
    )]
    pub os_version: Option<String>,
    /// Features demanded of the system, as in [`Platform::os_features`].
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable::platform_features"
    )]
    pub os_features: Vec<String>,
    /// The kind of processor, as in [`Platform::variant`].
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_word"
    )]
    pub variant: Option<String>,
    /// How to run a container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ContainerConfig>,
    /// The layers.
    #[serde(default)]
    pub rootfs: RootFs,
    /// How each layer came to be, oldest first; also steps that made none.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "limits::history"
    )]
    pub history: Vec<History>,
    /// Docker: the commit message.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub comment: Option<String>,
    /// Docker: the ID of the image this was built on, as the classic builder wrote it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub parent: Option<String>,
    /// Docker: the version of the engine that made the image.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub docker_version: Option<String>,
    /// Docker: the ID of the container that was committed.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub container: Option<String>,
    /// Docker: the config of that container, passed on as it is (API before 1.45).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_config: Option<Box<RawValue>>,
}

/// The layers of an image, by their uncompressed content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`; empty if the config has none.
    #[serde(rename = "type", default, deserialize_with = "nullable::or_default")]
    pub type_: String,
    /// The digest of each layer's uncompressed tar, lowest first.
    #[serde(default, deserialize_with = "limits::diff_ids")]
    pub diff_ids: Vec<Digest>,
}

/// One step of an image's making.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The time it was made, RFC 3339 as written.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub created: Option<String>,
    /// The command or instruction that made it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub created_by: Option<String>,
    /// The person who made it.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub author: Option<String>,
    /// A remark, such as the builder's name.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty"
    )]
    pub comment: Option<String>,
    /// Whether the step made no layer; the others take the layers in turn.
    #[serde(
        default,
        skip_serializing_if = "std::ops::Not::not",
        deserialize_with = "nullable::or_default"
    )]
    pub empty_layer: bool,
}

impl ImageConfig {
    /// Parses a config blob.
    ///
    /// # Errors
    /// [`ConfigError`]; a `created` that is no time is not an error, see [`ImageConfig::created_unix`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        if bytes.len() > MAX_CONFIG_BYTES {
            return Err(ConfigError::TooLarge { size: bytes.len() });
        }
        Ok(json::from_slice(bytes)?)
    }

    /// The platform the image is for, as written (not normalised).
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
        }
    }

    /// When the image was made, in Unix seconds; `None` if not stated or no RFC 3339 time.
    pub fn created_unix(&self) -> Option<i64> {
        let (secs, _) = timestamp::parse_rfc3339(self.created.as_deref()?)?;
        Some(secs)
    }

    /// The labels, sorted by key.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self
            .config
            .as_ref()
            .and_then(|config| config.labels.as_ref());
        labels
            .into_iter()
            .flatten()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests;
