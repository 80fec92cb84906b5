//! How many bytes of memory parsed things take, about: what bounds count.
//!
//! Bytes on the wire say little: `{}` in a history is two bytes, and over a hundred once parsed.

use std::collections::BTreeMap;

use strata_oci::{Descriptor, Document, ImageConfig, Platform, config::History};

use crate::{ManifestKind, ManifestSummary};

/// What an allocation takes besides its bytes.
const ALLOCATION: usize = 16;

fn text(text: &str) -> usize {
    text.len() + ALLOCATION
}

fn option(option: Option<&str>) -> usize {
    option.map_or(0, text)
}

pub(super) fn map(map: &BTreeMap<String, String>) -> usize {
    let entry =
        |(key, value): (&String, &String)| text(key) + text(value) + 2 * size_of::<String>();
    map.iter().map(entry).sum()
}

/// What a platform has beside itself.
pub(super) fn platform(platform: &Platform) -> usize {
    let Platform {
        architecture,
        os,
        os_version,
        os_features,
        variant,
    } = platform;
    let features = os_features.iter();
    text(architecture)
        + text(os)
        + option(os_version.as_deref())
        + features
            .map(|feature| text(feature) + size_of::<String>())
            .sum::<usize>()
        + option(variant.as_deref())
}

/// A descriptor, with its digest.
pub(super) fn descriptor(descriptor: &Descriptor) -> usize {
    let urls = descriptor.urls.iter();
    let platform = descriptor.platform.as_ref();
    size_of::<Descriptor>()
        + text(&descriptor.media_type)
        + text(descriptor.digest.as_str())
        + urls
            .map(|url| text(url) + size_of::<String>())
            .sum::<usize>()
        + map(&descriptor.annotations)
        + option(descriptor.data.as_deref())
        + platform.map_or(0, self::platform)
        + option(descriptor.artifact_type.as_deref())
}

/// A manifest in a listing.
pub(super) fn summary(summary: &ManifestSummary) -> usize {
    let own = match &summary.kind {
        ManifestKind::Image {
            platform: it,
            containers,
        } => platform(it) + containers.iter().map(|id| text(id)).sum::<usize>(),
        ManifestKind::Attestation { .. } | ManifestKind::Unknown => 0,
    };
    size_of::<ManifestSummary>() + descriptor(&summary.descriptor) + own
}

/// A manifest or index.
pub(super) fn document(document: &Document) -> usize {
    let children = document.children().into_iter().map(descriptor);
    let own = match document {
        Document::Index(index) => {
            map(&index.annotations) + index.subject.as_ref().map_or(0, descriptor)
        }
        Document::Manifest(manifest) => {
            map(&manifest.annotations) + manifest.subject.as_ref().map_or(0, descriptor)
        }
    };
    size_of::<Document>() + own + children.sum::<usize>()
}

/// An image config of so many bytes.
pub(super) fn config(config: &ImageConfig, bytes: usize) -> usize {
    let labels = config.labels().count();
    let container = config.config.as_ref();
    let lists = container.map_or(0, |container| {
        container.env.as_ref().map_or(0, Vec::len)
            + container.exposed_ports.as_ref().map_or(0, |it| it.len())
            + container.volumes.as_ref().map_or(0, |it| it.len())
    });
    // The texts are there twice: as stored and as read.
    2 * bytes
        + config.history.len() * size_of::<History>()
        + config.rootfs.diff_ids.len() * 2 * ALLOCATION
        + (labels + lists) * 2 * (size_of::<String>() + ALLOCATION)
}
