//! What is here of an image: its manifests, which of them are complete, sizes.

mod compose;
mod shelf;

use std::rc::Rc;

use strata_oci::{Descriptor, Digest, Document, Manifest, Platform};

use super::{Container, config::Essentials};
use crate::{ManifestKind, ManifestSummary};
pub(super) use shelf::Shelf;

/// An image as it is here.
///
/// Stands for one generation: what was present stays so. What was missing may
/// have come since, see [`crate::Engine::view`].
#[derive(Default)]
pub(crate) struct View {
    /// Its manifests in index order, those of nested indexes in their place.
    pub(crate) manifests: Vec<ManifestView>,
    /// The manifests and indexes that are here, parents first.
    pub(crate) documents: Vec<Digest>,
    /// All of its content that is here, each blob once, with its size.
    pub(crate) blobs: Vec<(Digest, u64)>,
    /// Bytes of `blobs`.
    pub(crate) size: u64,
    /// Content of it that is known to be damaged; `blobs` may lack it.
    pub(crate) damaged: Vec<Digest>,
    /// Why it cannot be read, or not all of it, for people.
    pub(crate) damage: Option<Rc<str>>,
    /// Whether that is only that something is missing: a pull brings it.
    pub(super) is_incomplete: bool,
    /// What is missing of it although it should be here.
    lost: Option<Digest>,
    /// Content named by what is here, but not here itself.
    missing: Vec<Digest>,
    /// Position of the complete image that suits the host best.
    best: Option<usize>,
    /// Position of the image people are shown: that, or of a damaged one what can be read.
    shown: Option<usize>,
}

/// One manifest of an image as it is here.
pub(crate) struct ManifestView {
    /// As in the index.
    pub(crate) descriptor: Descriptor,
    /// Config and every layer are here; foreign layers may be missing, since
    /// they are not distributed.
    pub(crate) available: bool,
    /// Bytes of its content that are here, itself included.
    pub(crate) content_size: u64,
    /// What it is.
    pub(crate) kind: Kinship,
    /// Its document, if that is here.
    pub(super) document: Option<Rc<Document>>,
    /// What its config says, if that is here.
    pub(super) essentials: Option<Rc<Essentials>>,
}

/// What a manifest is in its image.
pub(crate) enum Kinship {
    /// An image for this platform.
    Image(Platform),
    /// An attestation about this manifest.
    Attestation(Digest),
    /// Anything else.
    Unknown,
}

impl ManifestView {
    /// The manifest document, if it is here.
    pub(crate) fn manifest(&self) -> Option<&Manifest> {
        match self.document.as_deref()? {
            Document::Manifest(manifest) => Some(manifest),
            Document::Index(_) => None,
        }
    }

    /// The platform, if it is an image.
    pub(crate) fn platform(&self) -> Option<&Platform> {
        match &self.kind {
            Kinship::Image(platform) => Some(platform),
            Kinship::Attestation(_) | Kinship::Unknown => None,
        }
    }
}

impl View {
    /// The complete image that suits the host best.
    pub(super) fn best(&self) -> Option<&ManifestView> {
        self.manifests.get(self.best?)
    }

    /// The image people are shown: the best, or of a damaged one what can be read.
    pub(super) fn shown(&self) -> Option<&ManifestView> {
        self.manifests.get(self.shown?)
    }

    /// The image whose config is here for exactly `platform`, a complete one first.
    pub(super) fn exactly(&self, platform: &Platform) -> Option<&ManifestView> {
        let suits = |manifest: &&ManifestView| {
            let offered = manifest.platform();
            manifest.essentials.is_some() && offered.is_some_and(|it| platform.matches(it))
        };
        let mut suitable = self.manifests.iter().filter(suits);
        let first = suitable.clone().next();
        suitable.find(|manifest| manifest.available).or(first)
    }

    /// What its image configs say and their digests, attestations left out.
    pub(super) fn essentials(&self) -> impl Iterator<Item = (&Essentials, &Digest)> {
        let images = self.manifests.iter();
        let images = images.filter(|manifest| manifest.platform().is_some());
        images.filter_map(|it| Some((it.essentials.as_deref()?, &it.manifest()?.config.digest)))
    }

    /// Everything that goes with it when nothing else needs it.
    pub(crate) fn content(&self) -> impl Iterator<Item = &Digest> {
        let blobs = self.blobs.iter().map(|(digest, _)| digest);
        blobs.chain(&self.damaged)
    }

    /// Its manifests as a caller sees them.
    pub(super) fn summaries(&self, containers: &[Container]) -> Vec<ManifestSummary> {
        let best = self.best;
        let summary = |(position, manifest): (usize, &ManifestView)| ManifestSummary {
            descriptor: manifest.descriptor.clone(),
            available: manifest.available,
            content_size: manifest.content_size,
            kind: match &manifest.kind {
                Kinship::Image(platform) => ManifestKind::Image {
                    platform: platform.clone(),
                    // Containers record the image, not the platform: they run the host's.
                    containers: if best == Some(position) {
                        containers.iter().map(|it| it.id.clone()).collect()
                    } else {
                        Vec::new()
                    },
                },
                Kinship::Attestation(subject) => ManifestKind::Attestation {
                    subject: subject.clone(),
                },
                Kinship::Unknown => ManifestKind::Unknown,
            },
        };
        self.manifests.iter().enumerate().map(summary).collect()
    }
}
