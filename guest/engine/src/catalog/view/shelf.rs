//! Views that are kept from one operation to the next, as long as names stay as they are.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{Digest, Document};

use super::{View, compose::Material};
use crate::{
    Engine, Host, ImageSummary, Result, Shown, Store,
    catalog::{
        Image,
        cache::Bounded,
        documents::{DOCUMENTS_WEIGHT, descriptor},
        walk::{Damage, Walk},
        weight,
    },
    pace::Pace,
};

/// Bytes of memory for views and entries of listings: those of some ten thousand images. What they share with the
/// caches of documents and configs counts in both.
const SHELF: usize = 64 << 20;
/// Images whose views are made together: their documents are read many at once.
const AT_ONCE: usize = 256;

/// The views of a snapshot.
pub(crate) struct Shelf {
    views: RefCell<Bounded<Digest, Rc<Kept>>>,
    /// What was known to be damaged then.
    damage: Rc<Damage>,
}

/// A view, and what is made from it.
#[derive(Default)]
pub(crate) struct Kept {
    /// The view.
    pub(crate) view: Rc<View>,
    /// The image's entry in a listing.
    pub(in crate::catalog) summary: RefCell<Option<Rc<ImageSummary>>>,
}

impl Shelf {
    /// An empty one.
    pub(in crate::catalog) fn new(damage: Rc<Damage>) -> Self {
        Self {
            views: RefCell::new(Bounded::new(SHELF)),
            damage,
        }
    }
}

impl<H: Host> Engine<H> {
    /// What is here of one image.
    ///
    /// # Errors
    /// As the store's `stat_all`. An image that cannot be read has a view that says so.
    pub(crate) async fn view(&self, image: &Image) -> Result<Rc<View>> {
        let kept = self.kept(&[image]).await?.pop();
        Ok(kept.map(|kept| kept.view.clone()).unwrap_or_default())
    }

    /// Shows `see` what is here of each of these images, in their order. Whoever looks at every
    /// image does so in parts of [`Engine::together`], so that not all views need be there at once.
    ///
    /// # Errors
    /// As [`Engine::view`] and `see`.
    pub(crate) async fn each_kept<'i>(
        &self,
        images: &[&'i Image],
        mut see: impl AsyncFnMut(&'i Image, Rc<Kept>) -> Result<()>,
    ) -> Result<()> {
        let mut rest = images;
        while !rest.is_empty() {
            let kept = self.kept(rest).await?;
            let (part, later) = rest.split_at(kept.len().clamp(1, rest.len()));
            for (image, kept) in part.iter().zip(kept) {
                see(image, kept).await?;
            }
            rest = later;
        }
        Ok(())
    }

    /// What is here of the first of these images, in their order: of as many as can be held at
    /// once, and of one at least.
    async fn kept(&self, images: &[&Image]) -> Result<Vec<Rc<Kept>>> {
        let mut kept: Vec<Option<Rc<Kept>>> = Vec::with_capacity(images.len());
        let mut missing = Vec::new();
        let mut owners = Vec::new();
        for (position, image) in images.iter().enumerate() {
            let known = image.shelf.views.borrow_mut().get(&image.target.digest);
            if let Some(known) = &known {
                // Content comes without a change of generation, so what is missing is asked
                // for each time; what is here is not.
                missing.extend(known.view.missing.iter().cloned());
                owners.extend(known.view.missing.iter().map(|_| position));
            }
            kept.push(known);
        }
        let sizes = self.sizes(&missing).await?;
        for (owner, size) in owners.into_iter().zip(sizes) {
            if let (Some(_), Some(kept)) = (size, kept.get_mut(owner)) {
                *kept = None;
            }
        }
        let stale: Vec<usize> = (0..images.len())
            .filter(|position| kept.get(*position).is_some_and(Option::is_none))
            .collect();
        let mut rest = &stale[..];
        let mut at_once = AT_ONCE;
        let mut made = 0_usize;
        while !rest.is_empty() {
            let (part, later) = rest.split_at(at_once.min(rest.len()));
            let wanted = part.iter().filter_map(|it| images.get(*it).copied());
            let wanted: Vec<&Image> = wanted.collect();
            let material = self.material(&wanted).await?;
            // What is too heavy together may not be so one by one.
            if material.is_none() && part.len() > 1 {
                at_once = 1;
                continue;
            }
            let mut pace = Pace::default();
            for (position, image) in part.iter().zip(wanted) {
                let root = descriptor(&image.target);
                let view = match &material {
                    Some(material) => material.view(root, &self.settings.platform),
                    None => View::too_heavy(&image.target.digest),
                };
                pace.steps(view.blobs.len()).await;
                if let Some(lost) = &view.lost
                    && self.has_name(&image.target.digest).await
                {
                    // Logs it. The image is shown whether that succeeds or not.
                    let _ = self.store.note_missing(lost).await;
                }
                let new = Rc::new(Kept {
                    view: Rc::new(view),
                    summary: RefCell::default(),
                });
                let weight = new.view.weight() + image.names.len() * NAME + Shown::MOST;
                made = made.saturating_add(weight);
                let mut views = image.shelf.views.borrow_mut();
                views.insert(image.target.digest.clone(), new.clone(), weight);
                drop(views);
                if let Some(kept) = kept.get_mut(*position) {
                    *kept = Some(new);
                }
            }
            rest = later;
            if made > SHELF
                && let Some(next) = rest.first()
            {
                kept.truncate(*next);
                break;
            }
        }
        Ok(kept.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Whether a target has a name still: content of one that is being removed is not missed.
    async fn has_name(&self, target: &Digest) -> bool {
        let now = self.snapshot().await;
        now.is_ok_and(|now| now.position(target).is_some())
    }

    /// Images in parts to be looked at together.
    pub(crate) fn together(images: &[Image]) -> impl Iterator<Item = &[Image]> {
        images.chunks(AT_ONCE)
    }

    /// What the store has to say of these images; `None` if that is too much at once.
    async fn material(&self, images: &[&Image]) -> Result<Option<Material>> {
        let Some(first) = images.first() else {
            return Ok(None);
        };
        let mut documents = HashMap::new();
        let mut leaves = HashSet::new();
        let mut configs = HashSet::new();
        let mut taken = 0_usize;
        let mut walk = Walk::new(
            Some(first.shelf.damage.clone()),
            images.iter().map(|image| &image.target),
        )
        .believing();
        while let Some(visited) = self.advance(&mut walk).await? {
            for it in visited {
                if let Some(document) = it.content.document() {
                    taken = taken.saturating_add(weight::document(document));
                    if let Document::Manifest(manifest) = document.as_ref() {
                        if manifest.is_image() {
                            configs.insert(manifest.config.digest.clone());
                        }
                        leaves.insert(manifest.config.digest.clone());
                        leaves.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
                    }
                }
                documents.insert(it.digest, (it.size, it.content));
            }
            if taken > DOCUMENTS_WEIGHT {
                return Ok(None);
            }
        }
        let leaves: Vec<_> = leaves.into_iter().collect();
        let found = self.sizes(&leaves).await?;
        let damage = self.damage_behind(&found, &walk.damage()).await?;
        let found = leaves.into_iter().zip(found);
        let sizes: HashMap<_, _> = found
            .filter_map(|(digest, size)| Some((digest, size?)))
            .collect();
        let configs = configs.into_iter();
        let configs = configs.filter_map(|digest| Some((sizes.get(&digest).copied()?, digest)));
        let configs = configs.map(|(size, digest)| (digest, size)).collect();
        Ok(Some(Material {
            essentials: self.essentials(configs).await?,
            documents,
            sizes,
            damage,
        }))
    }
}

/// What a name takes in an entry of a listing.
const NAME: usize = 128;

impl View {
    /// The view of an image whose manifests are more than can be looked at.
    fn too_heavy(root: &Digest) -> Self {
        let reason = format!(
            "the manifests of {root} take more than {} MiB of memory, the limit",
            DOCUMENTS_WEIGHT >> 20
        );
        Self {
            damage: Some(reason.into()),
            damaged: vec![root.clone()],
            ..Self::default()
        }
    }

    /// What it takes in memory.
    fn weight(&self) -> usize {
        let manifest = |manifest: &super::ManifestView| {
            let document = manifest.document.as_deref().map_or(0, weight::document);
            let essentials = manifest.essentials.as_deref();
            size_of::<super::ManifestView>()
                + weight::descriptor(&manifest.descriptor)
                + document
                + essentials.map_or(0, |it| it.weight())
                + manifest.platform().map_or(0, weight::platform)
        };
        let digests = self.documents.len() + self.damaged.len() + self.missing.len();
        size_of::<Kept>()
            + size_of::<Self>()
            + self.manifests.iter().map(manifest).sum::<usize>()
            + digests * size_of::<Digest>()
            + self.blobs.len() * size_of::<(Digest, u64)>()
    }
}
