//! Listing images (docker §4.1).

use std::{cmp::Reverse, collections::HashMap, rc::Rc};

use strata_oci::Digest;

use super::{Image, ImageName, Snapshot, View, documents::descriptor};
use crate::{Engine, ImageSummary, ListOptions, Result, Store};

impl<S: Store, T, C> Engine<S, T, C> {
    /// Lists images, the youngest first (those of one age by ID), one entry per
    /// target. Entries that need no more than a name and its image are kept from one
    /// call to the next: cloning thousands costs more than finding them.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if an image named by `before` or `since` is not
    /// here; [`crate::Error::InvalidArgument`] if such a name does not parse.
    pub async fn list(&self, options: &ListOptions) -> Result<Vec<Rc<ImageSummary>>> {
        let snapshot = self.snapshot().await?;
        let selection = self.selection(&snapshot, &options.filters).await?;
        let views = self.views(&snapshot).await?;
        let holders = options.shared_size.then(|| holders(&views));
        let mut summaries = Vec::with_capacity(views.len());
        for (image, view) in snapshot.images.iter().zip(&views) {
            let admits = |name: &&Rc<ImageName>| selection.admits_name(image, name);
            let admitted = image.names.iter().filter(admits).count();
            if admitted == 0 || !selection.admits_image(view) {
                continue;
            }
            let whole = admitted == image.names.len();
            if whole && !options.shared_size && !options.manifests {
                let kept = image.summary.borrow().clone();
                summaries.push(kept.unwrap_or_else(|| {
                    let names = image.names.iter();
                    let summary = Rc::new(summary(&snapshot, image, view, names));
                    image.summary.replace(Some(summary.clone()));
                    summary
                }));
                continue;
            }
            let names = image.names.iter().filter(admits);
            let mut summary = summary(&snapshot, image, view, names);
            summary.shared_size = holders.as_ref().map(|holders| shared(view, holders));
            if options.manifests {
                let containers = snapshot.containers_using(&image.target.digest);
                summary.manifests = view.summaries(containers);
            }
            summaries.push(Rc::new(summary));
        }
        // The images came in digest order, and this sort is stable.
        summaries.sort_by_key(|summary| Reverse(summary.created));
        Ok(summaries)
    }
}

/// The entry of an image under these of its names.
fn summary<'a>(
    snapshot: &Snapshot,
    image: &Image,
    view: &View,
    names: impl Iterator<Item = &'a Rc<ImageName>>,
) -> ImageSummary {
    let mut tags = Vec::with_capacity(image.names.len());
    let mut repository_digest = None;
    for name in names.filter(|name| !name.is_dangling()) {
        if !tags.contains(&name.familiar) {
            tags.push(name.familiar.clone());
        }
        repository_digest = repository_digest.or_else(|| name.repository_digest());
    }
    let digest = &image.target.digest;
    let best = view.best().and_then(|best| best.essentials.as_deref());
    let digests = match best {
        Some(_) => repository_digest,
        None => Some(digest.to_string()),
    };
    let created = best.and_then(|best| best.created);
    let containers = snapshot.containers_using(digest).len();
    ImageSummary {
        target: descriptor(&image.target),
        tags,
        digests: digests.into_iter().collect(),
        created: created.map_or(0, |(seconds, _)| seconds),
        size: view.size,
        shared_size: None,
        labels: best.map(|best| best.labels.clone()),
        containers: best.map(|_| u32::try_from(containers).unwrap_or(u32::MAX)),
        // Only the classic builder knows parents, and it records none yet.
        parent: None,
        manifests: Vec::new(),
    }
}

/// How many images hold each blob.
fn holders(views: &[Rc<View>]) -> HashMap<&Digest, u32> {
    let mut holders = HashMap::new();
    for (digest, _) in views.iter().flat_map(|view| &view.blobs) {
        let count: &mut u32 = holders.entry(digest).or_default();
        *count = count.saturating_add(1);
    }
    holders
}

/// Bytes of the image that another image holds too.
fn shared(view: &View, holders: &HashMap<&Digest, u32>) -> u64 {
    let shared = view.blobs.iter().filter(|(digest, _)| {
        let count = holders.get(digest);
        count.is_some_and(|count| *count > 1)
    });
    shared.map(|(_, size)| size).sum()
}
