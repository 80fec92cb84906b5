//! A tar into a directory.
//!
//! The tar becomes another layer as it comes, names rewritten to where they are in the
//! whole file system. Nothing is visible before all of it is read and durable: then the
//! container's name moves to what it is now.

mod intake;

use std::{rc::Rc, time::Duration};

use strata_oci::{Descriptor, media_type};

use super::{
    MAX_TRIES,
    diff::deltas,
    list::size_from,
    model::CopyInOptions,
    owner::owner,
    place::Place,
    reader::{Reader, Source},
    record::{Saved, set},
    root::{Layer, Root},
};
use crate::{
    Clock, Engine, Error, Expectation, Lease as _, Progress, Result, Silent, Store, Transport,
    catalog::Container, curation::Candidates,
};
use intake::Intake;

/// Layers of changes a container has at most; then they become one. Each is opened when
/// the file system is read.
const MAX_DIFFS: usize = 32;
/// Entries of changes from which on layers become one, too: how many the file system may
/// list is limited.
const MAX_DIFF_ENTRIES: usize = strata_oci::layer::MAX_NODES;
/// Time between two tries to be the only one who changes a container.
const LOCK_PAUSE: Duration = Duration::from_millis(100);
/// Tries before giving up: half a minute.
const LOCK_TRIES: usize = 300;

impl<S, T, C> Engine<S, T, C>
where
    S: Store,
    T: Transport<Body = S::Body>,
    C: Clock,
{
    /// Extracts a tar, plain or compressed, into the directory at `path`, or that a link
    /// there leads to. All of it becomes visible at once, or nothing.
    ///
    /// Links in names lead nowhere out of the container's file system. Parents that are
    /// missing are made. A directory over a directory keeps what is in it; anything else
    /// takes the place of what was there. `.wh.NAME` removes `NAME` as in a layer: not what
    /// the same tar has.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such container or path;
    /// [`Error::InvalidArgument`] if the path is no directory, an entry leads out of it or
    /// cannot be where it is to be, the tar is broken or cut off, or the container's user
    /// is unknown; [`Error::Conflict`] if others keep changing the container;
    /// [`Error::QuotaExceeded`] beyond a bound; whatever the store and the body answer.
    pub async fn copy_in(
        &self,
        container: &str,
        path: &[u8],
        archive: S::Body,
        options: &CopyInOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let lease = self.store.acquire_lease().await?;
        let saved = self.find_alone(container, &lease).await?;
        let before = self.root(&saved).await?;
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
        let Some(taken) = taken else {
            return Ok(());
        };
        let mut diffs = saved.diffs.clone();
        let layer = taken.layer.digest.clone();
        diffs.push(taken.layer);
        let mut root = match taken.root {
            Some(mut root) => {
                root.layers.push(Layer {
                    digest: layer,
                    is_plain: true,
                });
                root
            }
            None => {
                let read = self.with_layers(&saved, &diffs).await;
                read.map_err(|error| match error {
                    // Of what was here, all could be read just now.
                    Error::ManifestInvalid(text) => Error::InvalidArgument(text),
                    error => error,
                })?
            }
        };
        let entries = before.changed_entries.saturating_add(taken.entries);
        root.changed_entries = entries;
        let is_merged = diffs.len() > MAX_DIFFS || entries > MAX_DIFF_ENTRIES;
        if is_merged {
            diffs = self.merged(&saved, &root, &lease).await?;
            root = self.with_layers(&saved, &diffs).await?;
        }
        let size = size_from(&root, root.image_layers);
        let target = self.put_changes(&saved, diffs, size, &lease).await?;
        let old = &saved.container;
        let container = Container {
            target: target.clone(),
            ..old.clone()
        };
        let expected = Expectation::Target(old.target.digest.clone());
        let changes = vec![set(&container, &target, expected)];
        match self.store.apply(changes, None).await {
            Ok(_) => {}
            // Nobody else changes it, so it was removed.
            Err(Error::Conflict(_)) => {
                return Err(Error::NotFound(format!("No such container: {}", old.id)));
            }
            Err(error) => return Err(error),
        }
        self.keep_root(&target.digest, root).await;
        drop(lease);
        let mut unneeded: Vec<_> = saved.documents.keys().cloned().collect();
        if is_merged {
            unneeded.extend(saved.diffs.iter().map(|layer| layer.digest.clone()));
        }
        // The changes are made; should something be left over, the next prune takes it.
        let unneeded = Candidates::Of(unneeded);
        let _ = self.sweep(&unneeded, &Default::default()).await;
        Ok(())
    }

    /// The container `text` names, which nobody else changes while the lease lives.
    async fn find_alone(&self, text: &str, lease: &S::Lease) -> Result<Saved> {
        for _ in 0..MAX_TRIES {
            let snapshot = self.snapshot().await?;
            let id = snapshot.find_container(text)?.id.clone();
            let lock = format!("container-{id}");
            let mut tries = 0;
            while !lease.lock(&lock).await? {
                tries += 1;
                if tries == LOCK_TRIES {
                    return Err(Error::Conflict(format!(
                        "something else is being copied into container {id}, try again"
                    )));
                }
                self.clock.sleep(LOCK_PAUSE).await;
            }
            // It may have changed meanwhile, or its name be another's.
            let snapshot = self.snapshot().await?;
            let container = snapshot.find_container(text)?;
            if container.id == id {
                return self.saved(container).await;
            }
        }
        Err(Error::Conflict(
            "container names keep changing, try again".to_owned(),
        ))
    }

    /// The file system of a container's image with these changes.
    async fn with_layers(&self, saved: &Saved, diffs: &[Descriptor]) -> Result<Root> {
        let image = self.image_root(saved).await?;
        let mut root = Rc::unwrap_or_clone(image);
        self.apply_layers(&mut root, diffs).await?;
        Ok(root)
    }

    /// All changes as one layer, or none.
    async fn merged(
        &self,
        saved: &Saved,
        root: &Root,
        lease: &S::Lease,
    ) -> Result<Vec<Descriptor>> {
        let image = self.image_root(saved).await?;
        let deltas = deltas(&image, root);
        let layer = self.write_diff(root, deltas, media_type::OCI_LAYER, lease, &Silent);
        Ok(layer.await?.into_iter().collect())
    }
}
