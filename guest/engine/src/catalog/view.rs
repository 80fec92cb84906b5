//! What is here of an image: its manifests, which of them are complete, sizes.

mod compose;

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{Descriptor, Digest, Document, Manifest, Platform};

use super::{
    Container, Image, Snapshot,
    documents::{Essentials, descriptor},
};
use crate::{Engine, ManifestKind, ManifestSummary, Result, Store};
use compose::Material;

/// An image as it is here.
///
/// Stands for one generation: what was present stays so. What was missing may
/// have come since, see [`Engine::view`].
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
    /// Content named by what is here, but not here itself.
    missing: Vec<Digest>,
    /// Position of the complete image that suits the host best.
    best: Option<usize>,
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

    /// What its image configs say, attestations left out.
    pub(super) fn essentials(&self) -> impl Iterator<Item = &Essentials> {
        let images = self.manifests.iter();
        let images = images.filter(|manifest| manifest.platform().is_some());
        images.filter_map(|manifest| manifest.essentials.as_deref())
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

impl<S: Store, T, C> Engine<S, T, C> {
    /// What is here of one image, see [`Engine::views`].
    pub(crate) async fn view(&self, image: &Image) -> Result<Rc<View>> {
        self.refresh(&[image]).await?;
        let view = image.view.borrow().clone();
        // `refresh` fills every view it is asked for.
        Ok(view.unwrap_or_default())
    }

    /// What is here of every image, in their order.
    pub(crate) async fn views(&self, snapshot: &Snapshot) -> Result<Vec<Rc<View>>> {
        let images: Vec<_> = snapshot.images.iter().collect();
        self.refresh(&images).await?;
        let view = |image: &Image| image.view.borrow().clone();
        let views = snapshot.images.iter().map(view);
        Ok(views.map(|view| view.unwrap_or_default()).collect())
    }

    /// Makes the views that are not made yet, and those anew where something
    /// that was missing has come. Content comes without a change of generation,
    /// so what is missing is asked for each time; what is here is not.
    async fn refresh(&self, images: &[&Image]) -> Result<()> {
        let mut stale = Vec::new();
        let mut missing = Vec::new();
        let mut owners = Vec::new();
        for image in images {
            match image.view.borrow().as_deref() {
                None => stale.push(*image),
                Some(view) => {
                    missing.extend(view.missing.iter().cloned());
                    owners.extend(view.missing.iter().map(|_| *image));
                }
            }
        }
        let sizes = self.sizes(&missing).await?;
        for (owner, size) in owners.into_iter().zip(sizes) {
            let listed = stale.last().is_some_and(|last| std::ptr::eq(*last, owner));
            if size.is_some() && !listed {
                stale.push(owner);
            }
        }
        if stale.is_empty() {
            return Ok(());
        }
        let roots: Vec<_> = stale.iter().map(|image| image.target.clone()).collect();
        let documents = self.documents(&roots).await?;
        let mut leaves = HashSet::new();
        let mut configs = HashSet::new();
        for stored in documents.values() {
            if let Some(Document::Manifest(manifest)) = stored.document.as_deref() {
                if manifest.is_image() {
                    configs.insert(manifest.config.digest.clone());
                }
                leaves.insert(manifest.config.digest.clone());
                leaves.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
            }
        }
        let leaves: Vec<_> = leaves.into_iter().collect();
        let found = self.sizes(&leaves).await?;
        let found = leaves.into_iter().zip(found);
        let sizes: HashMap<_, _> = found
            .filter_map(|(digest, size)| Some((digest, size?)))
            .collect();
        configs.retain(|config| sizes.contains_key(config));
        let material = Material {
            documents,
            essentials: self.essentials(configs.into_iter().collect()).await?,
            sizes,
        };
        for image in stale {
            let view = material.view(descriptor(&image.target), &self.settings.platform);
            image.view.replace(Some(Rc::new(view)));
            image.summary.replace(None);
        }
        Ok(())
    }
}
