//! File systems as trees of names.

use std::rc::Rc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{
    Descriptor, Digest,
    layer::{List, Tree, TreeError},
};

use super::scan::Budget;
use crate::{Engine, Error, Host, LeaseOf, Result, Store, pace::Pace};

/// Layers read at the same time: decompressing is the host's and takes the time. Each
/// waits as a list of its entries.
const PARALLEL_LAYERS: usize = 4;

/// Steps of [`Pace`] that one entry takes: its name leads through several directories.
const ENTRY_STEPS: usize = 8;

/// The file system of an image, or of what was made of one. A copy shares all that it does not change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Root {
    /// Its names. Layers are numbered as in `layers`.
    pub(crate) tree: Tree,
    /// What it is made of: the image's layers, then what was changed.
    pub(crate) layers: Vec<Layer>,
    /// How many of them are the image's.
    pub(crate) image_layers: u32,
    /// How many entries the others have.
    pub(crate) changed_entries: usize,
}

/// A layer of a file system.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// The blob.
    pub(crate) digest: Digest,
    /// Whether it is not compressed, so that it can be read anywhere.
    pub(crate) is_plain: bool,
}

/// The file systems looked into last: one of an image, one in which something was changed.
/// `docker cp` asks three times for one file. Nobody waits for one that another request
/// makes: that may take as long as its client likes.
#[derive(Default)]
pub(crate) struct Roots {
    /// By the digest of the manifest.
    image: Option<(Digest, Rc<Root>)>,
    /// By the digest of what holds the changes.
    changed: Option<(Digest, Rc<Root>)>,
}

impl Root {
    /// The number the next layer gets.
    ///
    /// # Errors
    /// [`Error::Internal`] beyond four thousand million: documents list far fewer.
    pub(crate) fn next_layer(&self) -> Result<u32> {
        u32::try_from(self.layers.len()).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Whether a node comes from what was changed.
    pub(crate) fn is_changed(&self, layer: Option<u32>) -> bool {
        layer.is_some_and(|layer| layer >= self.image_layers)
    }
}

/// What a layer that cannot be applied is to a caller.
pub(crate) fn refused(error: TreeError) -> Error {
    let message = error.to_string();
    match error {
        TreeError::TooLarge | TreeError::TooDeep => Error::QuotaExceeded(message),
        TreeError::DanglingLink { .. } => Error::ManifestInvalid(message),
    }
}

impl<H: Host> Engine<H> {
    /// The file system of an image, by its manifest.
    ///
    /// # Errors
    /// [`Error::NotFound`] if content is not here; [`Error::ManifestInvalid`] if a layer
    /// is none; [`Error::QuotaExceeded`] if it is too large.
    pub(crate) async fn root_of_image(
        &self,
        manifest: &Digest,
        layers: &[Descriptor],
    ) -> Result<Rc<Root>> {
        if let Some((digest, root)) = &self.roots.borrow().image
            && digest == manifest
        {
            return Ok(root.clone());
        }
        let mut root = Root::default();
        self.apply_layers(&mut root, layers).await?;
        root.image_layers = root.next_layer()?;
        root.changed_entries = 0;
        let root = Rc::new(root);
        self.roots.borrow_mut().image = Some((manifest.clone(), root.clone()));
        Ok(root)
    }

    /// The file system `key` was kept for, if that is still here.
    pub(crate) fn kept_root(&self, key: &Digest) -> Option<Rc<Root>> {
        let roots = self.roots.borrow();
        let (digest, root) = roots.changed.as_ref()?;
        (digest == key).then(|| root.clone())
    }

    /// Keeps a file system in which something was changed, as it is now, for `key`.
    pub(crate) fn keep_root(&self, key: &Digest, root: Rc<Root>) {
        self.roots.borrow_mut().changed = Some((key.clone(), root));
    }

    /// Puts layers on top.
    ///
    /// # Errors
    /// As [`Engine::root_of_image`].
    pub(crate) async fn apply_layers(&self, root: &mut Root, layers: &[Descriptor]) -> Result<()> {
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
    pub(crate) async fn protect(&self, root: &Root, lease: &LeaseOf<H>) -> Result<()> {
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
    pub(crate) async fn apply(&mut self, digest: &Digest, list: &List) -> Result<bool> {
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
pub(crate) fn gone(digest: &Digest) -> Error {
    Error::NotFound(format!(
        "layer {digest} is missing or damaged: pull the container's image again, or remove the \
         container if the layer is its own"
    ))
}
