//! File systems of containers, as trees of names.

use std::{cell::Cell, rc::Rc};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{
    Descriptor, Digest,
    layer::{Tree, TreeError},
};

use super::{record::Saved, scan::Located};
use crate::{Engine, Error, Result, Store};

/// Layers read at the same time: decompressing is the host's and takes the time. Each
/// waits as a list of entries.
const PARALLEL_LAYERS: usize = 4;

/// The file system of an image or a container.
#[derive(Clone, Debug)]
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

    /// Puts a layer on top.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] if there are too many names; [`Error::ManifestInvalid`]
    /// if a hard link leads nowhere.
    pub(super) fn apply(&mut self, layer: Layer, entries: Vec<Located>) -> Result<()> {
        let number = self.next_layer()?;
        self.layers.push(layer);
        self.changed_entries = self.changed_entries.saturating_add(entries.len());
        self.tree.apply(number, entries).map_err(refused)
    }
}

/// What a layer that cannot be applied is to a caller.
pub(super) fn refused(error: TreeError) -> Error {
    let message = error.to_string();
    match error {
        TreeError::TooLarge => Error::QuotaExceeded(message),
        TreeError::DanglingLink { .. } => Error::ManifestInvalid(message),
    }
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// The file system of a container's image.
    ///
    /// # Errors
    /// [`Error::NotFound`] if content is not here; [`Error::ManifestInvalid`] if a layer
    /// is none; [`Error::QuotaExceeded`] if it is too large.
    pub(super) async fn image_root(&self, saved: &Saved) -> Result<Rc<Root>> {
        let mut roots = self.catalog.roots.lock().await;
        self.image_root_in(&mut roots, saved).await
    }

    /// The file system of a container.
    ///
    /// # Errors
    /// As [`Engine::image_root`].
    pub(super) async fn root(&self, saved: &Saved) -> Result<Rc<Root>> {
        let mut roots = self.catalog.roots.lock().await;
        let key = &saved.container.target.digest;
        if let Some((digest, root)) = &roots.container
            && digest == key
        {
            return Ok(root.clone());
        }
        let image = self.image_root_in(&mut roots, saved).await?;
        if saved.diffs.is_empty() {
            return Ok(image);
        }
        // Two of them beside the image's are not needed.
        roots.container = None;
        let mut root = Root::clone(&image);
        self.apply_layers(&mut root, &saved.diffs).await?;
        let root = Rc::new(root);
        roots.container = Some((key.clone(), root.clone()));
        Ok(root)
    }

    /// Keeps the file system a container has now.
    pub(super) async fn keep_root(&self, index: &Digest, root: Root) {
        let mut roots = self.catalog.roots.lock().await;
        roots.container = Some((index.clone(), Rc::new(root)));
    }

    async fn image_root_in(&self, roots: &mut Roots, saved: &Saved) -> Result<Rc<Root>> {
        let manifest = saved.image_manifest()?;
        let key = &saved.record.manifest.digest;
        if let Some((digest, root)) = &roots.image
            && digest == key
        {
            return Ok(root.clone());
        }
        roots.image = None;
        let mut root = Root {
            tree: Tree::new(),
            layers: Vec::new(),
            image_layers: 0,
            changed_entries: 0,
        };
        self.apply_layers(&mut root, &manifest.layers).await?;
        root.image_layers = root.next_layer()?;
        root.changed_entries = 0;
        let root = Rc::new(root);
        roots.image = Some((key.clone(), root.clone()));
        Ok(root)
    }

    /// Puts layers on top.
    ///
    /// # Errors
    /// As [`Engine::image_root`].
    pub(super) async fn apply_layers(&self, root: &mut Root, layers: &[Descriptor]) -> Result<()> {
        let entries = Cell::new(0);
        let read = layers.iter().map(|layer| self.layer(layer, &entries));
        let mut read = stream::iter(read).buffered(PARALLEL_LAYERS);
        while let Some((layer, entries)) = read.try_next().await? {
            root.apply(layer, entries)?;
        }
        Ok(())
    }

    /// Protects what a file system is made of.
    ///
    /// # Errors
    /// [`Error::NotFound`] if any of it is gone.
    pub(super) async fn protect(&self, root: &Root, lease: &S::Lease) -> Result<()> {
        let digests: Vec<_> = root.layers.iter().map(|it| it.digest.clone()).collect();
        let sizes = self.store.stat_all(&digests, Some(lease)).await?;
        match digests.iter().zip(sizes).find(|(_, size)| size.is_none()) {
            Some((digest, _)) => Err(gone(digest)),
            None => Ok(()),
        }
    }
}

/// A layer that is not here.
pub(super) fn gone(digest: &Digest) -> Error {
    Error::NotFound(format!(
        "layer {digest} is not in the store, pull the container's image again"
    ))
}
