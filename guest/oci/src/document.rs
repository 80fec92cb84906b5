//! Indexes and manifests: what a registry answers under `/manifests/`, checked and taken apart.
//!
//! Parsing guards against one document being read as two different things (CVE-2021-41190), and bounds what it
//! accepts. It never writes a document back: digests cover the bytes, which the caller keeps. `Serialize` is
//! for documents made here from parts.
//!
//! <https://github.com/opencontainers/distribution-spec/security/advisories/GHSA-mc8v-mgrf-8f4m>

use serde::{Deserialize, de::IgnoredAny};

use crate::{
    json,
    media_type::{self, Kind},
    nullable,
};

mod descriptor;
mod image;

pub use descriptor::{ATTESTATION_SUBJECT, ATTESTATION_TYPE, Descriptor};
pub use image::{Index, Manifest};

/// The largest manifest or index accepted, in bytes: containerd's limit, `4 · 1048 · 1048`, so that what it
/// takes is taken here. The distribution-spec asks for at least 4 MB ("Pushing Manifests").
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1048 * 1048;

/// The most children one document may have. Every child costs a store lookup and perhaps a request. Real
/// indexes have tens and overlayfs mounts at most 500 layers, so this is far above any honest image.
pub const MAX_CHILDREN: usize = 4096;

/// A parsed manifest or index.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "large on 64-bit targets only; few are alive at a time, and a box would stand in the way of every match"
)]
pub enum Document {
    /// An index or manifest list: other documents, usually one per platform.
    Index(Index),
    /// A manifest: a config and layers.
    Manifest(Manifest),
}

/// Why a document is refused.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// More than [`MAX_DOCUMENT_BYTES`].
    #[error("manifest has {size} bytes, the limit is {MAX_DOCUMENT_BYTES}")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
    },
    /// Not JSON, or a member has the wrong type.
    #[error("invalid manifest: {0}")]
    Json(#[from] json::Error),
    /// The media type the JSON states is not the one it was announced under.
    #[error(
        "manifest says its media type is {found:?} but it was sent as {expected:?}; the registry must send one type"
    )]
    MediaTypeMismatch {
        /// What it was announced under, without parameters.
        expected: String,
        /// What the JSON says.
        found: String,
    },
    /// Has both `manifests` and `layers` or `config`, or the members of the other kind of document.
    #[error("manifest is ambiguous: it has members of both an index and an image manifest")]
    Ambiguous,
    /// A manifest without its config.
    #[error("manifest has no config")]
    MissingConfig,
    /// `schemaVersion` is not 2; 0 stands for a missing one.
    #[error("unsupported manifest schema version {0}, push the image again in version 2")]
    SchemaVersion(i64),
    /// A Docker schema 1 manifest.
    #[error(
        "docker schema 1 manifests are no longer supported, push the image again with a current tool"
    )]
    Schema1,
    /// Neither an index nor a manifest: the type, without parameters (empty if none was given).
    #[error("unsupported media type {}", stated(.0))]
    UnsupportedMediaType(String),
    /// More than [`MAX_CHILDREN`].
    #[error("manifest lists {count} entries, the limit is {MAX_CHILDREN}")]
    TooManyChildren {
        /// How many it has.
        count: usize,
    },
}

impl DocumentError {
    /// Whether the document is sound but more than is taken here.
    pub fn is_over_limit(&self) -> bool {
        match self {
            Self::TooLarge { .. } | Self::TooManyChildren { .. } => true,
            Self::Json(error) => error.is_over_limit(),
            _ => false,
        }
    }
}

fn stated(media_type: &str) -> &str {
    match media_type {
        "" => "(none is stated, and the content is neither a manifest nor an index)",
        stated => stated,
    }
}

/// What tells documents apart. Only presence counts: `null` is absent.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    #[serde(default, deserialize_with = "nullable::or_default")]
    schema_version: i64,
    #[serde(default, deserialize_with = "nullable::non_empty_media_type")]
    media_type: Option<String>,
    config: Option<IgnoredAny>,
    layers: Option<IgnoredAny>,
    manifests: Option<IgnoredAny>,
    fs_layers: Option<IgnoredAny>,
}

impl Document {
    /// Parses `bytes` announced as `media_type` (its parameters are ignored).
    ///
    /// A generic or empty `media_type` leaves the decision to the JSON's own, or else to its members.
    ///
    /// # Errors
    /// [`DocumentError`]; unknown media types are refused before the bytes are looked at.
    pub fn parse(media_type: &str, bytes: &[u8]) -> Result<Self, DocumentError> {
        if bytes.len() > MAX_DOCUMENT_BYTES {
            return Err(DocumentError::TooLarge { size: bytes.len() });
        }
        let announced = media_type::essence(media_type);
        let generic = matches!(
            announced,
            "" | "application/json" | "application/octet-stream"
        );
        if !generic {
            document_kind(announced)?;
        }
        let head: Head = json::from_slice(bytes)?;
        let is_index = match (&head.media_type, generic) {
            (Some(found), false) if found != announced => {
                return Err(DocumentError::MediaTypeMismatch {
                    expected: announced.to_owned(),
                    found: found.clone(),
                });
            }
            (Some(found), _) => Some(document_kind(found)? == Kind::Index),
            (None, false) => Some(document_kind(announced)? == Kind::Index),
            (None, true) => None,
        };
        if head.fs_layers.is_some() || head.schema_version == 1 {
            return Err(DocumentError::Schema1);
        }
        let like_index = head.manifests.is_some();
        let like_manifest = head.config.is_some() || head.layers.is_some();
        let is_index = match (is_index, like_index, like_manifest) {
            (_, true, true) | (Some(true), _, true) | (Some(false), true, _) => {
                return Err(DocumentError::Ambiguous);
            }
            (Some(is_index), ..) => is_index,
            (None, false, false) => {
                return Err(DocumentError::UnsupportedMediaType(announced.to_owned()));
            }
            (None, ..) => like_index,
        };
        if head.schema_version != 2 {
            return Err(DocumentError::SchemaVersion(head.schema_version));
        }
        let document = if is_index {
            Self::Index(json::from_slice::<image::IndexJson>(bytes)?.into())
        } else if head.config.is_none() {
            return Err(DocumentError::MissingConfig);
        } else {
            Self::Manifest(json::from_slice::<image::ManifestJson>(bytes)?.into())
        };
        let count = document.children().len();
        if count > MAX_CHILDREN {
            return Err(DocumentError::TooManyChildren { count });
        }
        Ok(document)
    }

    /// Whether it is an index.
    pub fn is_index(&self) -> bool {
        matches!(self, Self::Index(_))
    }

    /// The media type it states itself, if it does.
    pub fn stated_media_type(&self) -> Option<&str> {
        match self {
            Self::Index(index) => index.media_type.as_deref(),
            Self::Manifest(manifest) => manifest.media_type.as_deref(),
        }
    }

    /// The media type it states itself, or else the one it has by its members.
    pub fn media_type(&self) -> &str {
        self.stated_media_type().unwrap_or(match self {
            Self::Index(_) => media_type::OCI_INDEX,
            Self::Manifest(_) => media_type::OCI_MANIFEST,
        })
    }

    /// The media type it goes by where it is announced as `announced`: that, without parameters;
    /// where that says nothing, its own.
    pub fn media_type_as<'a>(&'a self, announced: &'a str) -> &'a str {
        let announced = media_type::essence(announced);
        match media_type::kind(announced) {
            Kind::Index | Kind::Manifest => announced,
            _ => self.media_type(),
        }
    }

    /// What the document consists of, in its order: the manifests, or the config and then the layers.
    /// The `subject` is not part of it.
    pub fn children(&self) -> Vec<&Descriptor> {
        match self {
            Self::Index(index) => index.manifests.iter().collect(),
            Self::Manifest(manifest) => {
                let config = std::iter::once(&manifest.config);
                config.chain(&manifest.layers).collect()
            }
        }
    }
}

/// [`Kind::Index`] or [`Kind::Manifest`].
fn document_kind(essence: &str) -> Result<Kind, DocumentError> {
    match media_type::kind(essence) {
        kind @ (Kind::Index | Kind::Manifest) => Ok(kind),
        Kind::Schema1 => Err(DocumentError::Schema1),
        _ => Err(DocumentError::UnsupportedMediaType(essence.to_owned())),
    }
}

#[cfg(test)]
mod tests;
