//! A tar into a directory.
//!
//! The tar becomes another layer as it comes, names rewritten to where they are in the
//! whole file system. Nothing is visible before all of it is read and durable: then the
//! container's name moves to what it is now.

mod intake;

use std::rc::Rc;

use strata_oci::{Descriptor, Digest, media_type};

use super::{
    inspect::size_from,
    model::CopyInOptions,
    owner::owner,
    place::Place,
    record::{Saved, set},
};
use crate::{
    Engine, Error, Expectation, Host, LeaseOf, Progress, Result, Silent, Store,
    catalog::Container,
    naming::{Decision, move_names},
    rootfs::{Layer, Reader, Root, Source},
};
use intake::{Intake, Taken};

/// Layers of changes a container has at most; then they become one. Each is opened when
/// the file system is read.
const MAX_DIFFS: usize = 32;
/// Entries of changes from which on layers become one, too: how many the file system may
/// list is limited.
const MAX_DIFF_ENTRIES: usize = strata_oci::layer::MAX_NODES;

/// What came of adding a layer to a container's changes.
struct Added {
    /// The container's index now.
    index: Digest,
    /// Its file system.
    root: Root,
    /// What is not needed any more.
    rest: Vec<Digest>,
}

impl<H: Host> Engine<H> {
    /// Extracts a tar, plain or compressed, into the directory at `path`, or that a link
    /// there leads to. All of it becomes visible at once, or nothing.
    ///
    /// Links in names lead nowhere out of the container's file system. Parents that are
    /// missing are made. A directory over a directory keeps what is in it; anything else
    /// takes the place of what was there. `.wh.NAME` removes `NAME` as in a layer: not what
    /// the same tar has.
    ///
    /// Nobody waits for the tar but the caller: what others copy in meanwhile stays, as far
    /// as the tar does not replace it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such container or path;
    /// [`Error::InvalidArgument`] if the path is no directory, an entry leads out of it or
    /// cannot be where it is to be, the tar is broken or cut off, or the container's user
    /// is unknown; [`Error::Conflict`] if others changed meanwhile what the tar builds on;
    /// [`Error::QuotaExceeded`] beyond a bound; whatever the store and the body answer.
    pub async fn copy_in(
        &self,
        container: &str,
        path: &[u8],
        archive: H::Body,
        options: &CopyInOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let lease = self.store.acquire_lease().await?;
        let read = self.reading(container, async |saved| {
            let before = self.root(&saved).await?;
            Ok((saved, before))
        });
        let (saved, before) = read.await?;
        let directory = Place::new(path).directory(&before.tree, container)?;
        let user = saved.record.config.user.as_str();
        let owner = match options.copy_uid_gid && !user.is_empty() {
            true => Some(owner(&self.store, &before, user).await?),
            false => None,
        };
        let archive = self.store.decompress(archive).await?;
        let reader = Reader::new(archive, Source::Caller);
        let intake = Intake::new(&self.store, &before, directory, &lease).await?;
        let taken = intake.run(reader, options, owner, progress).await?;
        let Some(mut taken) = taken else {
            return Ok(());
        };
        self.keep_list(&taken.layer.digest, &taken.list).await;
        let root = taken.root.take().map(|mut root| {
            root.layers.push(Layer {
                digest: taken.layer.digest.clone(),
                is_plain: true,
            });
            root.changed_entries = root.changed_entries.saturating_add(taken.list.len());
            root
        });
        drop(before);
        let unneeded = self.add_changes(saved, &taken, root, &lease).await?;
        drop(lease);
        self.clear(unneeded).await;
        Ok(())
    }

    /// Adds a layer to a container's changes, however often others are faster. `root` is
    /// the file system with it, if they were not. Returns what is not needed any more.
    async fn add_changes(
        &self,
        mut saved: Saved,
        taken: &Taken,
        mut root: Option<Root>,
        lease: &LeaseOf<H>,
    ) -> Result<Vec<Digest>> {
        let added = move_names(&self.store, "container", async |was_raced| {
            if was_raced {
                saved = self.find_saved(&saved.container.id).await?;
            }
            match self.changed(&saved, taken, root.take(), lease).await {
                Ok(decision) => Ok(decision),
                // What the tar itself is wrong in, it is wrong in at once.
                Err(Error::ManifestInvalid(text)) if !was_raced => {
                    Err(Error::InvalidArgument(text))
                }
                Err(error) => {
                    let now = self.find_saved(&saved.container.id).await?;
                    if now.container.target != saved.container.target {
                        return Ok(Decision::Again);
                    }
                    Err(match error {
                        Error::ManifestInvalid(text) => Error::Conflict(format!(
                            "the container was changed meanwhile: {text}; try again"
                        )),
                        error => error,
                    })
                }
            }
        });
        let Added { index, root, rest } = added.await?;
        self.keep_root(&index, Rc::new(root));
        Ok(rest)
    }

    /// Adds a layer to a container's changes as they were.
    async fn changed(
        &self,
        saved: &Saved,
        taken: &Taken,
        root: Option<Root>,
        lease: &LeaseOf<H>,
    ) -> Result<Decision<Added>> {
        let mut diffs = saved.diffs.clone();
        diffs.push(taken.layer.clone());
        let mut root = match root {
            Some(root) => root,
            None => {
                let mut root = Root::clone(&*self.root(saved).await?);
                root.apply(&taken.layer.digest, &taken.list).await?;
                root
            }
        };
        let is_merged = diffs.len() > MAX_DIFFS || root.changed_entries > MAX_DIFF_ENTRIES;
        if is_merged {
            (diffs, root) = self.merged(saved, &root, lease).await?;
        }
        let size = size_from(&root, root.image_layers).await;
        let target = self.put_changes(saved, diffs, size, lease).await?;
        let old = &saved.container;
        let container = Container {
            target: target.clone(),
            ..old.clone()
        };
        let expected = Expectation::Target(old.target.digest.clone());
        let mut rest: Vec<_> = saved.documents.keys().cloned().collect();
        if is_merged {
            rest.extend(saved.diffs.iter().map(|layer| layer.digest.clone()));
            rest.push(taken.layer.digest.clone());
        }
        Ok(Decision::Change {
            changes: vec![set(&container, &target, expected)],
            generation: None,
            then: Added {
                index: target.digest,
                root,
                rest,
            },
        })
    }

    /// All changes as one layer, or none, and the file system with them.
    async fn merged(
        &self,
        saved: &Saved,
        root: &Root,
        lease: &LeaseOf<H>,
    ) -> Result<(Vec<Descriptor>, Root)> {
        self.protect(root, lease).await?;
        let image = self.image_root(saved).await?;
        let layer = self.write_diff(&image, root, media_type::OCI_LAYER, lease, &Silent);
        let diffs: Vec<Descriptor> = layer.await?.into_iter().collect();
        let mut root = Root::clone(&image);
        self.apply_layers(&mut root, &diffs).await?;
        Ok((diffs, root))
    }
}
