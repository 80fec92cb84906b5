//! File systems of containers, as trees of names.

use std::rc::Rc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{
    Descriptor, Digest,
    layer::{List, Tree, TreeError},
};

use super::{record::Saved, scan::Budget};
use crate::{Engine, Error, Host, LeaseOf, Result, Store, pace::Pace};

/// Layers read at the same time: decompressing is the host's and takes the time. Each
/// waits as a list of its entries.
const PARALLEL_LAYERS: usize = 4;

/// Steps of [`Pace`] that one entry takes: its name leads through several directories.
const ENTRY_STEPS: usize = 8;

/// The file system of an image or a container. A copy shares all that it does not change.
#[derive(Clone, Debug, Default)]
pub(super) struct Root {
    /// Its names. Layers are numbered as in `layers`.
    pub(super) tree: Tree,
    /// What it is made of: the image's layers, then what was changed.
    pub(super) layers: Vec<Layer>,
    /// How many of them are the image's.
    pub(super) image_layers: u32,
    /// How many entries the others have.
    pub(super) changed_entries: usize,
}

/// A layer of a file system.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    /// The blob.
    pub(super) digest: Digest,
    /// Whether it is not compressed, so that it can be read anywhere.
    pub(super) is_plain: bool,
}

/// The file systems looked into last: one of an image, one of a container that changed
/// something. `docker cp` asks three times for one file.
#[derive(Default)]
pub(crate) struct Roots {
    /// By the digest of the manifest.
    image: Option<(Digest, Rc<Root>)>,
    /// By the digest of the container's index.
    container: Option<(Digest, Rc<Root>)>,
}

impl Root {
    /// The number the next layer gets.
    ///
    /// # Errors
    /// [`Error::Internal`] beyond four thousand million: documents list far fewer.
    pub(super) fn next_layer(&self) -> Result<u32> {
        u32::try_from(self.layers.len()).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Whether a node comes from what was changed.
    pub(super) fn is_changed(&self, layer: Option<u32>) -> bool {
        layer.is_some_and(|layer| layer >= self.image_layers)
    }
}

/// What a layer that cannot be applied is to a caller.
pub(super) fn refused(error: TreeError) -> Error {
    let message = error.to_string();
    match error {
        TreeError::TooLarge | TreeError::TooDeep => Error::QuotaExceeded(message),
        TreeError::DanglingLink { .. } => Error::ManifestInvalid(message),
    }
}

impl<H: Host> Engine<H> {
    /// The file system of a container's image.
    ///
    /// # Errors
    /// [`Error::NotFound`] if content is not here; [`Error::ManifestInvalid`] if a layer
    /// is none; [`Error::QuotaExceeded`] if it is too large.
    pub(super) async fn image_root(&self, saved: &Saved) -> Result<Rc<Root>> {
        let manifest = saved.image_manifest()?;
        let key = &saved.record.manifest.digest;
        if let Some((digest, root)) = &self.catalog.roots.borrow().image
            && digest == key
        {
            return Ok(root.clone());
        }
        let mut root = Root::default();
        self.apply_layers(&mut root, &manifest.layers).await?;
        root.image_layers = root.next_layer()?;
        root.changed_entries = 0;
        let root = Rc::new(root);
        self.catalog.roots.borrow_mut().image = Some((key.clone(), root.clone()));
        Ok(root)
    }

    /// The file system of a container.
    ///
    /// # Errors
    /// As [`Engine::image_root`].
    pub(super) async fn root(&self, saved: &Saved) -> Result<Rc<Root>> {
        let key = &saved.container.target.digest;
        if let Some((digest, root)) = &self.catalog.roots.borrow().container
            && digest == key
        {
            return Ok(root.clone());
        }
        let image = self.image_root(saved).await?;
        if saved.diffs.is_empty() {
            return Ok(image);
        }
        let mut root = Root::clone(&image);
        self.apply_layers(&mut root, &saved.diffs).await?;
        let root = Rc::new(root);
        self.keep_root(key, root.clone());
        Ok(root)
    }

    /// Keeps the file system a container has now.
    pub(super) fn keep_root(&self, index: &Digest, root: Rc<Root>) {
        self.catalog.roots.borrow_mut().container = Some((index.clone(), root));
    }

    /// Puts layers on top.
    ///
    /// # Errors
    /// As [`Engine::image_root`].
    pub(super) async fn apply_layers(&self, root: &mut Root, layers: &[Descriptor]) -> Result<()> {
        let budget = Budget::default();
        let read = layers.iter().map(|layer| self.layer_list(layer, &budget));
        let mut read = stream::iter(read).buffered(PARALLEL_LAYERS);
        let mut layers = layers.iter();
        while let Some(list) = read.try_next().await? {
            let Some(layer) = layers.next() else { break };
            let before = root.clone();
            if !root.apply(&layer.digest, &list).await? {
                // It was kept, and not kept well.
                *root = before;
                let list = self.scan(layer, &budget).await?;
                root.apply(&layer.digest, &list).await?;
            }
        }
        Ok(())
    }

    /// Protects what a file system is made of.
    ///
    /// # Errors
    /// [`Error::NotFound`] if any of it is gone.
    pub(super) async fn protect(&self, root: &Root, lease: &LeaseOf<H>) -> Result<()> {
        let digests: Vec<_> = root.layers.iter().map(|it| it.digest.clone()).collect();
        let sizes = self.store.stat_all(&digests, Some(lease)).await?;
        match digests.iter().zip(sizes).find(|(_, size)| size.is_none()) {
            Some((digest, _)) => Err(gone(digest)),
            None => Ok(()),
        }
    }
}

impl Root {
    /// Puts a layer on top. False if the list is damaged; the file system is of no use then.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] if there are too many names; [`Error::ManifestInvalid`]
    /// if a hard link leads nowhere.
    pub(super) async fn apply(&mut self, digest: &Digest, list: &List) -> Result<bool> {
        let number = self.next_layer()?;
        self.layers.push(Layer {
            digest: digest.clone(),
            is_plain: list.is_plain(),
        });
        self.changed_entries = self.changed_entries.saturating_add(list.len());
        let mut pace = Pace::default();
        if list.has_whiteouts() {
            for (entry, _) in list.entries() {
                self.tree.hide(&entry);
                pace.steps(ENTRY_STEPS).await;
            }
        }
        let mut applied = 0;
        for (entry, offset) in list.entries() {
            self.tree.put(number, &entry, offset).map_err(refused)?;
            applied += 1;
            pace.steps(ENTRY_STEPS).await;
        }
        Ok(applied == list.len())
    }
}

/// A layer that is not here, or is known to be damaged.
pub(super) fn gone(digest: &Digest) -> Error {
    Error::NotFound(format!(
        "layer {digest} is missing or damaged: pull the container's image again, or remove the \
         container if the layer is its own"
    ))
}
