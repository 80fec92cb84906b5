//! Platforms: `os/architecture[/variant]`, their two spellings, and which image suits which machine.
//!
//! Follows containerd's rules, <https://github.com/containerd/platforms>. What the machine itself is, the caller says.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{json, nullable, quote::quote};

mod rank;
mod words;

use words::{COMPONENT_PATTERN, OS_PATTERN};

/// An OCI platform; as JSON, its members stand in OCI order and empty ones are left out.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Platform {
    /// The architecture in Go's words: `amd64`, `arm64`, …
    #[serde(default, deserialize_with = "nullable::word")]
    pub architecture: String,
    /// The operating system in Go's words: `linux`, `windows`, …
    #[serde(default, deserialize_with = "nullable::word")]
    pub os: String,
    /// The system's version, `10.0.17763.1`; counts on Windows only.
    #[serde(
        rename = "os.version",
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_word"
    )]
    pub os_version: Option<String>,
    /// Features the image demands of the system.
    #[serde(
        rename = "os.features",
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "nullable::features"
    )]
    pub os_features: Vec<String>,
    /// The kind of processor: `v7`, `v8`, …
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_word"
    )]
    pub variant: Option<String>,
}

/// Why a platform cannot be read; the texts are containerd's and dockerd's, with values quoted as Go does.
#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    /// One word that is neither a known system nor a known architecture.
    #[error("{}: unknown operating system or architecture: invalid argument", quote(.0))]
    Unknown(String),
    /// More than three parts.
    #[error("{}: cannot parse platform specifier: invalid argument", quote(.0))]
    Parts(String),
    /// The first part has characters no system name has.
    #[error(
        "{} is an invalid OS component of {}: OSAndVersion specifier component must match {}: invalid argument",
        quote(.part), quote(.specifier), quote(OS_PATTERN)
    )]
    Os {
        /// The part at fault.
        part: String,
        /// The whole text.
        specifier: String,
    },
    /// A later part has characters no architecture or variant has.
    #[error(
        "{} is an invalid component of {}: platform specifier component must match {}: invalid argument",
        quote(.part), quote(.specifier), quote(COMPONENT_PATTERN)
    )]
    Component {
        /// The part at fault.
        part: String,
        /// The whole text.
        specifier: String,
    },
    /// A `*`: no platform may be left open.
    #[error("{}: wildcards not yet supported: invalid argument", quote(.0))]
    Wildcard(String),
    /// Not the JSON of a platform.
    #[error("failed to parse platform: {0}")]
    Json(#[from] json::Error),
    /// One of the two members every platform has is missing.
    #[error("both OS and Architecture must be provided")]
    Incomplete,
    /// Only optional members are given.
    #[error("optional platform fields provided, but OS and Architecture are missing")]
    OnlyOptional,
}

impl Platform {
    /// Reads the string spelling `os[(version)][/architecture[/variant]]`, or one known architecture;
    /// `default`, the machine's platform, supplies what a single word leaves out.
    ///
    /// # Errors
    /// [`PlatformError`], any case but the last three.
    pub fn parse(specifier: &str, default: &Self) -> Result<Self, PlatformError> {
        let whole = || specifier.to_owned();
        if specifier.contains('*') {
            return Err(PlatformError::Wildcard(whole()));
        }
        let mut parts = specifier.splitn(4, '/');
        let first = parts.next().unwrap_or_default();
        let Some((os, os_version)) = words::split_os(first) else {
            return Err(PlatformError::Os {
                part: first.to_owned(),
                specifier: whole(),
            });
        };
        let later: Vec<&str> = parts.collect();
        if let Some(part) = later.iter().find(|part| !words::is_component(part)) {
            return Err(PlatformError::Component {
                part: (*part).to_owned(),
                specifier: whole(),
            });
        }
        let mut platform = Self {
            os: words::normal_os(os),
            os_version: os_version.map(str::to_owned),
            ..Self::default()
        };
        match later[..] {
            [] if words::KNOWN_OS.contains(&platform.os.as_str()) => {
                platform.architecture.clone_from(&default.architecture);
                if default.architecture == "arm" && default.variant.as_deref() != Some("v7") {
                    platform.variant.clone_from(&default.variant);
                }
            }
            [] => {
                (platform.architecture, platform.variant) = words::unversioned_arch(first);
                if !words::KNOWN_ARCHITECTURES.contains(&platform.architecture.as_str()) {
                    return Err(PlatformError::Unknown(whole()));
                }
                platform.os.clone_from(&default.os);
            }
            [architecture] => {
                (platform.architecture, platform.variant) = words::unversioned_arch(architecture);
            }
            [architecture, variant] => {
                (platform.architecture, platform.variant) =
                    words::normal_arch(architecture, variant);
                if platform.architecture == "arm64" && platform.variant.is_none() {
                    platform.variant = Some("v8".to_owned());
                }
            }
            _ => return Err(PlatformError::Parts(whole())),
        }
        Ok(platform)
    }

    /// Reads the JSON spelling. Nothing is normalised.
    ///
    /// # Errors
    /// [`PlatformError::Json`], [`PlatformError::Incomplete`] or [`PlatformError::OnlyOptional`].
    pub fn parse_json(json: &str) -> Result<Self, PlatformError> {
        let platform: Self = json::from_slice(json.as_bytes())?;
        let any_optional = platform.variant.is_some()
            || platform.os_version.is_some()
            || !platform.os_features.is_empty();
        match (platform.os.is_empty(), platform.architecture.is_empty()) {
            (false, false) => Ok(platform),
            (true, true) if any_optional => Err(PlatformError::OnlyOptional),
            _ => Err(PlatformError::Incomplete),
        }
    }

    /// The one spelling of this platform: lower case, Go's words, default variants left out except
    /// `arm/v7`, features sorted without doubles.
    #[must_use]
    pub fn normalized(&self) -> Self {
        let variant = self.variant.as_deref().unwrap_or_default();
        let (architecture, variant) = words::normal_arch(&self.architecture, variant);
        let mut os_features = self.os_features.clone();
        os_features.sort();
        os_features.dedup();
        Self {
            architecture,
            os: words::normal_os(&self.os),
            os_version: self.os_version.clone(),
            os_features,
            variant,
        }
    }

    /// Whether an image for `candidate` is exactly what this platform asks for: equal system, architecture
    /// and variant once normalised.
    ///
    /// The candidate may demand no features this platform lacks. On Windows the first three parts of
    /// `os.version` must agree, if both platforms state them.
    pub fn matches(&self, candidate: &Self) -> bool {
        let (wanted, candidate) = (self.normalized(), candidate.normalized());
        wanted.same_system(&candidate)
            && wanted.architecture == candidate.architecture
            && wanted.variant == candidate.variant
    }

    /// How well an image for `candidate` runs on this platform: 0 is exactly what is asked for, more is
    /// worse, `None` is not at all. The numbers only order candidates.
    pub fn rank(&self, candidate: &Self) -> Option<usize> {
        let (wanted, candidate) = (self.normalized(), candidate.normalized());
        if !wanted.same_system(&candidate) {
            return None;
        }
        rank::processor(
            (&wanted.architecture, wanted.variant.as_deref()),
            (&candidate.architecture, candidate.variant.as_deref()),
        )
    }

    /// The string spelling in full, as `Display` prints it: `linux/arm64/v8`, `windows(10.0.17763)/amd64`;
    /// `unknown` without a system. Nothing is normalised.
    pub fn format(&self) -> String {
        self.to_string()
    }

    /// Whether system, version and features agree; both sides are normalised.
    fn same_system(&self, candidate: &Self) -> bool {
        self.os == candidate.os
            && (self.os != "windows" || same_build(&self.os_version, &candidate.os_version))
            && candidate
                .os_features
                .iter()
                .all(|feature| self.os_features.contains(feature))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.os.is_empty() {
            return f.write_str("unknown");
        }
        f.write_str(&self.os)?;
        if let Some(version) = &self.os_version {
            write!(f, "({version})")?;
        }
        let variant = self.variant.as_deref().unwrap_or_default();
        for part in [self.architecture.as_str(), variant] {
            if !part.is_empty() {
                write!(f, "/{part}")?;
            }
        }
        Ok(())
    }
}

/// Whether two Windows versions have the same major, minor and build number, or one does not say.
fn same_build(wanted: &Option<String>, candidate: &Option<String>) -> bool {
    fn build(version: &Option<String>) -> Option<Vec<&str>> {
        let parts: Vec<&str> = version.as_deref()?.split('.').take(3).collect();
        (parts.len() == 3).then_some(parts)
    }
    match (build(wanted), build(candidate)) {
        (Some(wanted), Some(candidate)) => wanted == candidate,
        _ => true,
    }
}

#[cfg(test)]
mod tests;
