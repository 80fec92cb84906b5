//! The store as its users see it.
//!
//! Each method checks its arguments, moves what may wait for the disk off the caller's thread, and
//! leaves the rest to the module that knows.

mod damaged;
mod derive;

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::content::{self, Unread, deletion};
use crate::ingest::{Ingest, IngestState, Stage};
use crate::layout::Unopened;
use crate::lease::Lease;
use crate::name::{Change, Name, apply};
use crate::open::{self, Background, Parts};
use crate::sync::blocking;
use crate::{Digest, Error, LayerFacts, Options, database, index, partial, reserve};

/// Blobs up to this many bytes are read on the caller's thread: handing the work over costs more.
const INLINE_READ: u64 = 256 * 1024;

/// A content store on a local disk. Clones share it.
///
/// Methods that are `async` need a tokio runtime.
#[derive(Clone)]
pub struct Store {
    parts: Arc<Parts>,
    // Last: when the last clone goes, the background threads are stopped and joined.
    _background: Arc<Background>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("root", &self.root())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in the directory `path`, and creates it if there is nothing.
    ///
    /// Where writing is not possible the store opens read-only; every change then fails with
    /// [`Error::ReadOnly`], or with [`Error::NoSpace`] if the disk is so full that not even the reserve
    /// helps. Blocks while it does so, for milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the directory has other content; [`Error::Unsupported`] if another
    /// version wrote it; [`Error::Io`] and [`Error::NoSpace`].
    pub fn open(path: &Path, options: Options) -> Result<Store, Error> {
        let (parts, background) = open::open(path, &options)?;
        Ok(Store {
            parts,
            _background: Arc::new(background),
        })
    }

    /// The store's directory, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        self.parts.layout.root()
    }

    /// Whether every change fails, with [`Error::ReadOnly`] or because the disk was full when it was opened.
    pub fn read_only(&self) -> bool {
        !self.parts.layout.is_writable()
    }

    // ---- content ----

    /// Size of a blob in bytes, `None` if it is not here. One known to be damaged is not here, nor is one
    /// that cannot be opened, which is marked. Under a lease it is protected from then on, whether it is here or not.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the lease is not of this store; [`Error::NoSpace`],
    /// [`Error::Io`], [`Error::Database`].
    pub async fn stat(&self, digest: &Digest, lease: Option<&Lease>) -> Result<Option<u64>, Error> {
        let sizes = self.stat_all(std::slice::from_ref(digest), lease).await?;
        Ok(sizes.into_iter().next().flatten())
    }

    /// [`stat`](Store::stat) for many, in the order asked.
    ///
    /// # Errors
    ///
    /// As [`stat`](Store::stat).
    pub async fn stat_all(
        &self,
        digests: &[Digest],
        lease: Option<&Lease>,
    ) -> Result<Vec<Option<u64>>, Error> {
        self.protect(digests, lease).await?;
        let mut news = Vec::new();
        let damage = &self.parts.damage;
        let sizes = damage.present_all(digests, &mut news)?;
        if !news.is_empty() {
            let damage = damage.clone();
            blocking(move || {
                damage.mark_all(news);
                Ok(())
            })
            .await?;
        }
        Ok(sizes)
    }

    /// Protects first, so that a deletion either sees the lease or its result is seen.
    async fn protect(&self, digests: &[Digest], lease: Option<&Lease>) -> Result<(), Error> {
        let Some(lease) = lease else { return Ok(()) };
        let leases = &self.parts.leases;
        let id = lease.id(leases)?;
        let mut new = Vec::new();
        for digest in digests {
            if !leases.protects(id, digest)? {
                new.push(digest.clone());
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let (leases, lease) = (leases.clone(), lease.clone());
        blocking(move || leases.protect(lease.id(&leases)?, &new)).await
    }

    /// Reads a whole small blob and checks its digest.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::TooLarge`] if it has more than `limit` bytes;
    /// [`Error::Damaged`] if its bytes have another digest or it cannot be opened, and then it is marked.
    pub async fn get(&self, digest: &Digest, limit: u64) -> Result<Bytes, Error> {
        let damage = &self.parts.damage;
        let unread = match content::get(damage, digest, limit.min(INLINE_READ)) {
            Ok(bytes) => return Ok(bytes),
            Err(unread) => unread,
        };
        let (damage, digest) = (damage.clone(), digest.clone());
        match unread {
            Unread::Failed(Error::TooLarge { size, .. }) if size <= limit => {
                blocking(move || {
                    content::get(&damage, &digest, limit).map_err(|it| it.settle(&damage, &digest))
                })
                .await
            }
            Unread::Failed(Error::TooLarge { size, .. }) => Err(Error::TooLarge {
                digest,
                size,
                limit,
            }),
            Unread::Failed(error) => Err(error),
            damaged @ (Unread::Damaged { .. } | Unread::Broken(_)) => {
                blocking(move || Err(damaged.settle(&damage, &digest))).await
            }
        }
    }

    /// Opens a blob for streaming, with its size in bytes. It stays readable when it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Io`]; [`Error::Damaged`] if it is known to be, or cannot be opened.
    pub fn open_blob(&self, digest: &Digest) -> Result<(File, u64), Error> {
        let (file, stamp) = match self.parts.layout.open_blob(digest) {
            Ok(opened) => opened,
            Err(Unopened::Failed(error)) => return Err(error),
            Err(Unopened::Broken(broken)) => {
                self.tell(digest, broken.clone());
                return Err(broken.error(digest));
            }
        };
        self.parts.damage.check(digest, stamp)?;
        Ok((file, stamp.size))
    }

    /// Stores a small blob whose bytes are at hand, durably. Does nothing but protect it if it is
    /// here; if other bytes are, they are replaced.
    ///
    /// # Errors
    ///
    /// [`Error::DigestMismatch`] if the bytes have another digest; [`Error::NoSpace`],
    /// [`Error::ReadOnly`]; those of [`stat`](Store::stat).
    pub async fn put(&self, digest: &Digest, data: Bytes, lease: &Lease) -> Result<(), Error> {
        self.parts.layout.check_writable(digest)?;
        let (content, digest) = (self.parts.content.clone(), digest.clone());
        let lease = lease.clone();
        blocking(move || {
            let id = lease.id(&content.leases)?;
            content.leases.protect(id, std::slice::from_ref(&digest))?;
            content.put(&digest, &data)
        })
        .await
    }

    /// Opens the one ingest of a blob of `size` bytes, at what is there of it already. What it
    /// publishes replaces a damaged blob.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the blob is here, intact, and has another size; [`Error::NoSpace`],
    /// [`Error::ReadOnly`]; those of [`stat`](Store::stat).
    pub async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        lease: &Lease,
    ) -> Result<IngestState, Error> {
        self.parts.layout.check_writable(digest)?;
        self.protect(std::slice::from_ref(digest), Some(lease))
            .await?;
        let (ingests, digest) = (self.parts.ingests.clone(), digest.clone());
        blocking(move || ingests.open(&digest, size)).await
    }

    /// Opens an ingest of a blob of `size` bytes beside any other. Nobody waits for it, and dropping it
    /// discards what was written. What it publishes replaces a damaged blob. If it `continues`, it begins
    /// with a copy of what the other one has so far.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::ReadOnly`], [`Error::Io`]; [`Error::Invalid`] if the lease is not of
    /// this store.
    pub async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        lease: &Lease,
    ) -> Result<Ingest, Error> {
        self.parts.layout.check_writable(digest)?;
        self.protect(std::slice::from_ref(digest), Some(lease))
            .await?;
        let (ingests, digest) = (self.parts.ingests.clone(), digest.clone());
        blocking(move || ingests.open_own(&digest, size, continues)).await
    }

    /// Starts a blob whose digest is not known yet. It has one, SHA-256, and is protected by the
    /// lease once it is [finished](Stage::finish).
    ///
    /// `like` is a guess which blob it will turn out to be. If that is here, the bytes are compared
    /// with it, and written only from where they differ.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the lease is not of this store; [`Error::NoSpace`],
    /// [`Error::ReadOnly`], [`Error::Io`].
    pub async fn stage(&self, lease: &Lease, like: Option<Digest>) -> Result<Stage, Error> {
        self.parts.layout.check_writable("a staged blob")?;
        let (ingests, lease) = (self.parts.ingests.clone(), lease.clone());
        blocking(move || ingests.stage(lease, like.as_ref())).await
    }

    /// Facts about a layer, computed at first need and kept.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Invalid`] if it does not decompress, or to far too much;
    /// [`Error::DigestMismatch`] if it is not what was promised through
    /// [`expect_diff_ids`](Store::expect_diff_ids).
    pub async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts, Error> {
        self.parts.facts.on_demand(digest).await
    }

    /// What [`layer_facts`](Store::layer_facts) found before, `None` if it was not asked yet.
    ///
    /// # Errors
    ///
    /// [`Error::DigestMismatch`] as there; [`Error::Database`].
    pub async fn known_layer_facts(&self, digest: &Digest) -> Result<Option<LayerFacts>, Error> {
        self.parts.facts.known(digest).await
    }

    /// Queues layers, as (blob, diff-id), for a check in the background. Durable on return.
    ///
    /// Diff-ids of other algorithms than SHA-256 are not checked.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::ReadOnly`], [`Error::Database`].
    pub async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<(), Error> {
        self.parts.layout.check_writable("diff-ids")?;
        let (facts, layers) = (self.parts.facts.clone(), layers.to_vec());
        blocking(move || facts.expect(&layers)).await
    }

    /// Every blob with its size in bytes, in no order. One that cannot be read has none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub async fn blobs(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let damage = self.parts.damage.clone();
        blocking(move || damage.blobs()).await
    }

    /// Removes partial downloads nobody is writing, and staged blobs of dead processes. Returns their
    /// bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], [`Error::ReadOnly`].
    pub async fn discard_ingests(&self) -> Result<u64, Error> {
        self.parts.layout.check_writable("partial downloads")?;
        let layout = self.parts.layout.clone();
        blocking(move || partial::discard(&layout)).await
    }

    /// Removes blobs if no name changed since `generation`; deletions in between do not matter.
    /// Leased and absent ones are skipped. Returns what is gone, with sizes in bytes.
    ///
    /// Works in batches, each of which looks at names and leases again, so that nobody waits for
    /// long. If a name changes in between it stops there.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if a name changed before; nothing is removed then. [`Error::Io`] if a
    /// file cannot be removed; others may be gone.
    pub async fn delete(
        &self,
        digests: &[Digest],
        generation: u64,
    ) -> Result<Vec<(Digest, u64)>, Error> {
        self.parts.layout.check_writable("deletions")?;
        let (content, digests) = (self.parts.content.clone(), digests.to_vec());
        blocking(move || {
            let deleted = deletion::delete(&content, &digests, generation);
            reserve::keep(content.layout());
            deleted
        })
        .await
    }

    // ---- names ----

    /// Every name space that has a name, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn namespaces(&self) -> Result<Vec<String>, Error> {
        let names = self.parts.names.clone();
        blocking(move || names.spaces()).await
    }

    /// A number that grows with every change of names, deletion of content or news of damage, by any
    /// process.
    /// Costs microseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub fn generation(&self) -> Result<u64, Error> {
        Ok(self.parts.names.database.head()?.generation)
    }

    /// Every name of a name space in name order (by bytes), and the generation read.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn names(&self, namespace: &str) -> Result<(u64, Arc<Vec<Name>>), Error> {
        let head = self.parts.names.database.head()?;
        if let Some(names) = self.parts.names.current(namespace, head) {
            return Ok((head.generation, names));
        }
        let (names, namespace) = (self.parts.names.clone(), namespace.to_owned());
        blocking(move || {
            let (head, names) = names.load(&namespace)?;
            Ok((head.generation, names))
        })
        .await
    }

    /// Applies all changes or none, in order: later ones see earlier ones. Durable on return.
    /// Returns the new generation.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if an expectation does not hold or `generation` is given and not current;
    /// [`Error::NotFound`] if a target is not in the store, unless it loses another name by this; [`Error::Invalid`] if a name breaks the
    /// bounds given at [`Change`]; [`Error::NoSpace`], [`Error::ReadOnly`].
    pub async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64, Error> {
        self.parts.layout.check_writable("names")?;
        let names = self.parts.names.clone();
        // Only what frees something may use the reserve.
        let frees = changes
            .iter()
            .all(|change| matches!(change, Change::Remove { .. }));
        blocking(move || {
            let write = || {
                names.write(|transaction, head| {
                    if generation.is_some_and(|expected| expected != head.generation) {
                        return Err(Error::Conflict(format!(
                            "the store changed: it is at generation {}; read again",
                            head.generation
                        )));
                    }
                    let applied = apply::apply(transaction, &names.layout, &changes)?;
                    let generation = if applied.any {
                        database::advance(transaction, true)?
                    } else {
                        head.generation
                    };
                    Ok((generation, applied))
                })
            };
            let (generation, applied) = if frees {
                reserve::spend(&names.layout, write)?
            } else {
                write()?
            };
            if applied.images {
                names.projection.mark();
            }
            Ok(generation)
        })
        .await
    }

    // ---- leases ----

    /// Starts a lease. What it protects is not deleted until it is dropped, or the process ends. In a
    /// read-only store leases protect nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Database`].
    pub async fn acquire_lease(&self) -> Result<Lease, Error> {
        let leases = self.parts.leases.clone();
        blocking(move || Lease::acquire(&leases)).await
    }

    /// Brings `index.json` up to date, and unless somebody else uses the store all changes into the
    /// database's own file. Also happens when the last clone of the store is dropped, and the first shortly
    /// after each change.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Database`].
    pub async fn flush(&self) -> Result<(), Error> {
        if !self.parts.layout.is_writable() {
            return Ok(());
        }
        let names = self.parts.names.clone();
        blocking(move || {
            index::synchronize(&names)?;
            if let Err(error) = names.settle() {
                tracing::debug!(%error, "the log of the database is not emptied");
            }
            Ok(())
        })
        .await
    }
}
