//! `ManifestSummary`, which list and inspect share.

use serde::Serialize;
use strata_engine::{ManifestKind, ManifestSummary};
use strata_oci::{Descriptor, Digest, Platform};

/// One manifest of an image.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Manifest<'a> {
    #[serde(rename = "ID")]
    id: &'a Digest,
    descriptor: &'a Descriptor,
    available: bool,
    size: Size,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_data: Option<ImageData<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation_data: Option<AttestationData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Size {
    content: u64,
    total: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ImageData<'a> {
    platform: &'a Platform,
    size: Unpacked,
    /// IDs of containers; null when there are none.
    containers: Option<&'a [String]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Unpacked {
    unpacked: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct AttestationData<'a> {
    r#for: &'a Digest,
}

impl<'a> Manifest<'a> {
    /// The wire shape of `summary`.
    pub(crate) fn new(summary: &'a ManifestSummary) -> Self {
        let (kind, image_data, attestation_data) = match &summary.kind {
            ManifestKind::Image {
                platform,
                containers,
            } => {
                let data = ImageData {
                    platform,
                    // Layers are never unpacked here.
                    size: Unpacked { unpacked: 0 },
                    containers: (!containers.is_empty()).then_some(containers),
                };
                ("image", Some(data), None)
            }
            ManifestKind::Attestation { subject } => (
                "attestation",
                None,
                Some(AttestationData { r#for: subject }),
            ),
            ManifestKind::Unknown => ("unknown", None, None),
        };
        Self {
            id: &summary.descriptor.digest,
            descriptor: &summary.descriptor,
            available: summary.available,
            size: Size {
                content: summary.content_size,
                total: summary.content_size,
            },
            kind,
            image_data,
            attestation_data,
        }
    }
}

/// Where an image is known to come from; nothing here verifies signatures.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Identity<'a> {
    pull: Vec<Pull<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pull<'a> {
    repository: &'a str,
}

impl<'a> Identity<'a> {
    /// `None` if nothing is known, which is then left out.
    pub(crate) fn new(sources: &'a [String]) -> Option<Self> {
        let pull = sources.iter().map(|repository| Pull { repository });
        (!sources.is_empty()).then(|| Self {
            pull: pull.collect(),
        })
    }
}
