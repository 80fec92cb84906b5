//! Listing images.

use std::{cell::RefCell, cmp::Reverse, collections::HashMap, rc::Rc};

use strata_oci::{Digest, Labels};

use super::{
    Image, ImageName, Snapshot, View, documents::descriptor, snapshot::distinct,
    view::ManifestView, weight,
};
use crate::{
    Engine, Host, ImageSummary, ListOptions, Listed, ManifestSummary, Result, Shown, pace::Pace,
};

/// Bytes of labels that a listing holds at once. Those of the rest are read when they are
/// asked for, one image at a time.
const LISTED_LABELS: usize = 16 << 20;
/// Bytes of manifests that a listing holds at once; those of some hundred images of twenty platforms
/// are one. The rest are made when they are asked for, one image at a time.
const LISTED_MANIFESTS: usize = 32 << 20;

impl<H: Host> Engine<H> {
    /// Lists images, the youngest first (those of one age by ID), one entry per
    /// target. Entries that need no more than a name and its image are kept from one
    /// call to the next: cloning thousands costs more than finding them.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if an image named by `before` or `since` is not
    /// here; [`crate::Error::InvalidArgument`] if such a name does not parse;
    /// [`crate::Error::QuotaExceeded`] for more filters than are looked at.
    pub async fn list(&self, options: &ListOptions) -> Result<Vec<Rc<ImageSummary>>> {
        let damaged = RefCell::new(Vec::new());
        self.settled(
            |names| {
                let damaged = damaged.borrow();
                let here = damaged.iter().filter(|it| names.position(it).is_some());
                Ok(here.cloned().collect())
            },
            async |names| self.entries(&names, options).await,
            |entries| {
                let broken = entries.iter().filter(|it| it.damaged.is_some());
                damaged.replace(broken.map(|it| it.target.digest.clone()).collect());
                damaged.borrow().is_empty()
            },
        )
        .await
    }

    async fn entries(
        &self,
        snapshot: &Rc<Snapshot>,
        options: &ListOptions,
    ) -> Result<Vec<Rc<ImageSummary>>> {
        let selection = self.selection(snapshot, &options.filters).await?;
        let holders = match options.shared_size {
            true => Some(self.holders(snapshot).await?),
            false => None,
        };
        let mut pace = Pace::default();
        let mut labels = 0;
        let mut manifests = 0_usize;
        let mut summaries = Vec::with_capacity(snapshot.images.len());
        for images in Self::together(&snapshot.images) {
            let images: Vec<&Image> = images.iter().collect();
            self.each_kept(&images, async |image, kept| {
                // The usual case, in which nothing of the image need be looked at.
                let is_usual = selection.admits_every_name()
                    && selection.admits_every_image()
                    && !options.shared_size
                    && !options.manifests;
                // Not borrowed while others run: they may make it.
                let known = match is_usual {
                    true => kept.summary.borrow().clone(),
                    false => None,
                };
                if let Some(known) = known {
                    pace.steps(1).await;
                    summaries.push(light(known, &mut labels));
                    return Ok(());
                }
                let dangling = image.is_dangling;
                let mut names = Vec::with_capacity(image.names.len());
                for name in &image.names {
                    pace.steps(selection.steps()).await;
                    if selection.admits_name(dangling, name) {
                        names.push(name);
                    }
                }
                let view = &kept.view;
                if names.is_empty() || !self.admits(&selection, view).await? {
                    return Ok(());
                }
                let whole = names.len() == image.names.len();
                if whole && !options.shared_size && !options.manifests {
                    let known = kept.summary.borrow().clone();
                    let summary = known.unwrap_or_else(|| {
                        let summary = Rc::new(summary(snapshot, image, view, &names));
                        kept.summary.replace(Some(summary.clone()));
                        summary
                    });
                    summaries.push(light(summary, &mut labels));
                    return Ok(());
                }
                let mut summary = summary(snapshot, image, view, &names);
                summary.shared_size = holders.as_ref().map(|holders| shared(view, holders));
                if options.manifests {
                    let containers = snapshot.containers_using(&image.target.digest);
                    summary.manifests = view.summaries(containers);
                    let weights = summary.manifests.iter().map(weight::summary);
                    manifests = manifests.saturating_add(weights.sum());
                    if manifests > LISTED_MANIFESTS {
                        summary.manifests = Vec::new();
                        summary.manifests_later = true;
                    }
                }
                summaries.push(light(Rc::new(summary), &mut labels));
                Ok(())
            })
            .await?;
        }
        // The images came in digest order, and this sort is stable.
        summaries.sort_by_key(|summary| Reverse(summary.created));
        Ok(summaries)
    }

    /// The labels of an image in a listing; none if they cannot be read any more.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] only.
    pub async fn labels(&self, image: &ImageSummary) -> Result<Option<Rc<Labels>>> {
        match &image.labels {
            Listed::None => Ok(None),
            Listed::Here(labels) => Ok(Some(labels.clone())),
            Listed::InConfig(config) => self.config_labels(config).await.map(Some),
        }
    }

    /// The manifests of an image in a listing; none if it is not here any more.
    ///
    /// # Errors
    /// As [`Engine::list`].
    pub async fn manifests(&self, image: &ImageSummary) -> Result<Vec<ManifestSummary>> {
        let snapshot = self.snapshot().await?;
        let digest = &image.target.digest;
        let position = snapshot.position(digest);
        let Some(image) = position.and_then(|position| snapshot.images.get(position)) else {
            return Ok(Vec::new());
        };
        let containers = snapshot.containers_using(digest);
        Ok(self.view(image).await?.summaries(containers))
    }

    /// How many images hold each blob.
    async fn holders(&self, snapshot: &Snapshot) -> Result<HashMap<Digest, u32>> {
        let mut holders = HashMap::new();
        for images in Self::together(&snapshot.images) {
            let images: Vec<&Image> = images.iter().collect();
            self.each_kept(&images, async |_, kept| {
                for (digest, _) in &kept.view.blobs {
                    let count: &mut u32 = holders.entry(digest.clone()).or_default();
                    *count = count.saturating_add(1);
                }
                Ok(())
            })
            .await?;
        }
        Ok(holders)
    }
}

/// The entry without its labels once those of others take enough.
pub(super) fn light(summary: Rc<ImageSummary>, taken: &mut usize) -> Rc<ImageSummary> {
    let (Listed::Here(labels), Some(config)) = (&summary.labels, &summary.config) else {
        return summary;
    };
    *taken = taken.saturating_add(labels.weight());
    if *taken <= LISTED_LABELS {
        return summary;
    }
    Rc::new(ImageSummary {
        labels: Listed::InConfig(config.clone()),
        ..(*summary).clone()
    })
}

/// The entry of an image under these of its names.
fn summary(
    snapshot: &Snapshot,
    image: &Image,
    view: &View,
    names: &[&Rc<ImageName>],
) -> ImageSummary {
    let names = names.iter().filter(|name| !name.is_dangling());
    let repository_digest = names.clone().find_map(|name| name.repository_digest());
    let tags = distinct(names.map(|name| name.familiar.clone()));
    let digest = &image.target.digest;
    let shown = view.shown();
    let essentials = shown.and_then(|shown| shown.essentials.as_deref());
    let digests = match essentials {
        Some(_) => repository_digest,
        None => Some(digest.to_string()),
    };
    let created = essentials.and_then(|it| it.created);
    let containers = snapshot.containers_using(digest).len();
    let config = shown.and_then(ManifestView::manifest);
    let config = config.map(|manifest| manifest.config.digest.clone());
    ImageSummary {
        target: descriptor(&image.target),
        tags,
        digests: digests.into_iter().collect(),
        created: created.map_or(0, |(seconds, _)| seconds),
        size: view.size,
        shared_size: None,
        labels: match (essentials.map(|it| &it.labels), &config) {
            (Some(Some(labels)), _) => Listed::Here(labels.clone()),
            (Some(None), Some(config)) => Listed::InConfig(config.clone()),
            _ => Listed::None,
        },
        config,
        containers: essentials.map(|_| u32::try_from(containers).unwrap_or(u32::MAX)),
        // Only the classic builder knows parents, and it records none yet.
        parent: None,
        manifests: Vec::new(),
        manifests_later: false,
        damaged: view.damage.clone(),
        shown: Shown::default(),
    }
}

/// Bytes of the image that another image holds too.
fn shared(view: &View, holders: &HashMap<Digest, u32>) -> u64 {
    let shared = view.blobs.iter().filter(|(digest, _)| {
        let count = holders.get(digest);
        count.is_some_and(|count| *count > 1)
    });
    shared.map(|(_, size)| size).sum()
}
