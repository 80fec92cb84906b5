//! The two documents themselves, index and manifest; Docker's and OCI's have the same shape.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md>,
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Descriptor;
use crate::{json::limits, media_type, nullable};

/// An image index, or Docker manifest list. It serialises in OCI member order with `schemaVersion` 2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(into = "IndexJson")]
pub struct Index {
    /// Its media type as the JSON states it.
    pub media_type: Option<String>,
    /// Its entries, in order.
    pub manifests: Vec<Descriptor>,
    /// Annotations of the whole index.
    pub annotations: BTreeMap<String, String>,
    /// The manifest this index refers to, if it is a referrer.
    pub subject: Option<Descriptor>,
    /// The kind of artifact, if it is no image.
    pub artifact_type: Option<String>,
}

/// An image manifest. It serialises in OCI member order with `schemaVersion` 2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "ManifestJson")]
pub struct Manifest {
    /// Its media type as the JSON states it.
    pub media_type: Option<String>,
    /// The image config, or an artifact's.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// Annotations of the manifest.
    pub annotations: BTreeMap<String, String>,
    /// The manifest this one refers to, if it is a referrer.
    pub subject: Option<Descriptor>,
    /// The kind of artifact, if it is no image.
    pub artifact_type: Option<String>,
}

impl Manifest {
    /// Whether this is an image rather than an artifact: no artifact type, and a config of an image's media
    /// type or of one old pushers used.
    pub fn is_image(&self) -> bool {
        self.artifact_type.is_none() && media_type::is_image_config(&self.config.media_type)
    }
}

/// An index as JSON. Kept private so that reading goes through the checks of [`super::Document::parse`].
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct IndexJson {
    schema_version: i64,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_media_type"
    )]
    media_type: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_media_type"
    )]
    artifact_type: Option<String>,
    #[serde(default, deserialize_with = "nullable::or_default")]
    manifests: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "limits::annotations"
    )]
    annotations: BTreeMap<String, String>,
}

/// A manifest as JSON; private for the same reason.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ManifestJson {
    schema_version: i64,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_media_type"
    )]
    media_type: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "nullable::non_empty_media_type"
    )]
    artifact_type: Option<String>,
    config: Descriptor,
    #[serde(default, deserialize_with = "nullable::or_default")]
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subject: Option<Descriptor>,
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "limits::annotations"
    )]
    annotations: BTreeMap<String, String>,
}

impl From<IndexJson> for Index {
    fn from(json: IndexJson) -> Self {
        Self {
            media_type: json.media_type,
            manifests: json.manifests,
            annotations: json.annotations,
            subject: json.subject,
            artifact_type: json.artifact_type,
        }
    }
}

impl From<Index> for IndexJson {
    fn from(index: Index) -> Self {
        Self {
            schema_version: 2,
            media_type: index.media_type,
            artifact_type: index.artifact_type,
            manifests: index.manifests,
            subject: index.subject,
            annotations: index.annotations,
        }
    }
}

impl From<ManifestJson> for Manifest {
    fn from(json: ManifestJson) -> Self {
        Self {
            media_type: json.media_type,
            config: json.config,
            layers: json.layers,
            annotations: json.annotations,
            subject: json.subject,
            artifact_type: json.artifact_type,
        }
    }
}

impl From<Manifest> for ManifestJson {
    fn from(manifest: Manifest) -> Self {
        Self {
            schema_version: 2,
            media_type: manifest.media_type,
            artifact_type: manifest.artifact_type,
            config: manifest.config,
            layers: manifest.layers,
            subject: manifest.subject,
            annotations: manifest.annotations,
        }
    }
}
