//! What a store has to be able to do for the engine: content, names, leases, and facts about content.
//!
//! One trait each, as in the imports of `strata:image`; [`Backend`] is all of them. [`Store`](crate::Store) is
//! the one on a local disk. Whoever keeps blobs and names elsewhere implements them and may be used in its
//! place. What the bytes and the names mean is the engine's business.
//!
//! Every change is durable when its function returns. Where nothing can be written each fails with
//! [`Error::ReadOnly`], and on a full disk with [`Error::NoSpace`].

use std::any::Any;
use std::fmt::Debug;
use std::io::Read;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;

use crate::{Change, Digest, Error, LayerFacts, Name, Verdict};

/// Everything an engine asks of a store.
#[async_trait]
pub trait Backend: Content + Names + Leases + Facts + Send + Sync + 'static {
    /// Brings what others read of the store up to date with its names. Also happens when it is closed.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Io`], [`Error::Database`].
    async fn flush(&self) -> Result<(), Error>;
}

/// Blobs under their digests, and which of them are damaged.
#[async_trait]
pub trait Content {
    /// Sizes of blobs in bytes, in the order asked, `None` for one that is not here. One known to be damaged
    /// is not here, nor is one that cannot be opened, which is marked. Under a lease they are protected from
    /// then on, whether they are here or not.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the lease is not of this store; [`Error::Io`], [`Error::Database`].
    async fn stat_all(
        &self,
        digests: &[Digest],
        lease: Option<&Lease>,
    ) -> Result<Vec<Option<u64>>, Error>;

    /// [`stat_all`](Content::stat_all) for one.
    ///
    /// # Errors
    ///
    /// As [`stat_all`](Content::stat_all).
    async fn stat(&self, digest: &Digest, lease: Option<&Lease>) -> Result<Option<u64>, Error> {
        let sizes = self.stat_all(std::slice::from_ref(digest), lease).await?;
        Ok(sizes.into_iter().next().flatten())
    }

    /// Reads a whole small blob and checks its digest.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::TooLarge`] if it has more than `limit` bytes;
    /// [`Error::Damaged`] if its bytes have another digest or it cannot be opened, and then it is marked.
    async fn get(&self, digest: &Digest, limit: u64) -> Result<Bytes, Error>;

    /// Opens a blob to be read from `offset` on, to its end or for `length` bytes, on a thread that may
    /// block. Its digest is not checked. It stays readable when it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`], [`Error::Io`]; [`Error::Damaged`] if it is known to be, or cannot be opened.
    async fn read(
        &self,
        digest: &Digest,
        offset: u64,
        length: Option<u64>,
    ) -> Result<Box<dyn Read + Send>, Error>;

    /// Stores a small blob whose bytes are at hand. Does nothing but protect it if it is here; if other
    /// bytes are, they are replaced.
    ///
    /// # Errors
    ///
    /// [`Error::DigestMismatch`] if the bytes have another digest; those of [`stat`](Content::stat).
    async fn put(&self, digest: &Digest, data: Bytes, lease: &Lease) -> Result<(), Error>;

    /// Opens the one ingest of a blob of `size` bytes, at what is there of it already. What it publishes
    /// replaces a damaged blob.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the blob is here, intact, and has another size; those of
    /// [`stat`](Content::stat).
    async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        lease: &Lease,
    ) -> Result<IngestState, Error>;

    /// Opens an ingest of a blob of `size` bytes beside any other. Nobody waits for it, and dropping it
    /// discards what was written. What it publishes replaces a damaged blob. If it `continues`, it begins
    /// with a copy of what the other one has so far.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the lease is not of this store; [`Error::Io`].
    async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        lease: &Lease,
    ) -> Result<Box<dyn Ingest>, Error>;

    /// Starts a blob whose digest is not known yet. It has one, SHA-256, and is protected by the lease once
    /// it is [finished](Stage::finish).
    ///
    /// `like` is a guess which blob it will turn out to be. If that is here, the bytes are compared with it,
    /// and written only from where they differ.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the lease is not of this store; [`Error::Io`].
    async fn stage(&self, lease: &Lease, like: Option<Digest>) -> Result<Box<dyn Stage>, Error>;

    /// Every blob with its size in bytes, in no order. One that cannot be read has none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    async fn blobs(&self) -> Result<Vec<(Digest, u64)>, Error>;

    /// Removes partial downloads nobody is writing, and staged blobs of dead processes. Returns their bytes.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    async fn discard_ingests(&self) -> Result<u64, Error>;

    /// Removes blobs if no name changed since `generation`; deletions in between do not matter. Leased and
    /// absent ones are skipped. Returns what is gone, with sizes in bytes.
    ///
    /// Works in batches, each of which looks at names and leases again, so that nobody waits for long. If a
    /// name changes in between it stops there.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if a name changed before; nothing is removed then. [`Error::Io`] if a file cannot
    /// be removed; others may be gone.
    async fn delete(
        &self,
        digests: &[Digest],
        generation: u64,
    ) -> Result<Vec<(Digest, u64)>, Error>;

    /// Hashes a blob again, and marks it or lifts its mark. Bytes that the disk does not give are damage
    /// too. As many run at once as there are processors. Stops soon if the future is dropped. Where nothing
    /// can be written the mark ends with this process.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be told whether it is here.
    async fn verify(&self, digest: &Digest) -> Result<Verdict, Error>;

    /// Logs that a blob is missing which something here refers to, once. Does nothing if it has come
    /// meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    async fn note_missing(&self, digest: &Digest) -> Result<(), Error>;

    /// Every blob known to be damaged that is still here, and why, in digest order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    async fn damaged(&self) -> Result<Vec<(Digest, String)>, Error>;

    /// Moves a damaged blob to where people can look at it; from now on it is not here.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it is not known to be damaged; [`Error::Io`].
    async fn quarantine(&self, digest: &Digest) -> Result<(), Error>;

    /// Notes that blobs are in a repository. Of one blob the latest 8 are kept, until it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `repository` has not 1 to 1024 bytes, or control characters;
    /// [`Error::Database`].
    async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<(), Error>;

    /// Repositories a blob is known to be in, latest first.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    async fn sources(&self, digest: &Digest) -> Result<Vec<String>, Error>;
}

/// What [`open_ingest`](Content::open_ingest) found.
#[derive(Debug)]
pub enum IngestState {
    /// The blob is here and now protected by the lease.
    Present,
    /// Another operation, in this process or another one, is writing it and has this many bytes.
    Busy(u64),
    /// It is yours to write.
    Open(Box<dyn Ingest>),
}

/// A blob being written. Dropping it keeps what was accepted, so that the next
/// [`open_ingest`](Content::open_ingest) of the digest continues there; unless it is one of
/// [`open_own_ingest`](Content::open_own_ingest).
#[async_trait]
pub trait Ingest: Debug + Send + Sync {
    /// Bytes accepted so far; where the next [`write`](Ingest::write) continues. After an error it is what
    /// is in the file.
    fn offset(&self) -> u64;

    /// Appends bytes. Waits while about 1 MiB is queued already.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the blob would become longer than its size; nothing of `bytes` is accepted
    /// then. [`Error::NoSpace`] or [`Error::Io`] if bytes accepted earlier could not be written; that error
    /// stays until [`reset`](Ingest::reset) or a new ingest.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.sink().write(bytes).await
    }

    /// A second handle for code that is polled. It lives as long as this one is not dropped.
    fn sink(&self) -> Box<dyn Sink>;

    /// Verifies size and digest, makes the blob durable and then visible. Goes on if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] if bytes are missing; what came is kept. [`Error::DigestMismatch`] if the bytes
    /// have another digest; they are discarded. [`Error::NoSpace`], [`Error::Io`] from this or an earlier
    /// write.
    async fn commit(self: Box<Self>) -> Result<(), Error>;

    /// Forgets the bytes; the next write starts at 0. Also clears an earlier error.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be truncated.
    async fn reset(&mut self) -> Result<(), Error>;
}

/// A blob being written whose digest is not known yet. Dropping it discards what was written.
///
/// If the digest is known, an [`Ingest`] is better: it can be resumed, and a blob that is here need not be
/// written at all.
#[async_trait]
pub trait Stage: Debug + Send + Sync {
    /// Bytes accepted so far.
    fn offset(&self) -> u64;

    /// Appends bytes. Waits while about 1 MiB is queued already.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] or [`Error::Io`] if bytes accepted earlier could not be written. That error stays.
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.sink().write(bytes).await
    }

    /// A second handle for code that is polled. It lives as long as this one is not dropped.
    fn sink(&self) -> Box<dyn Sink>;

    /// Makes the blob durable, protects it with the lease and then makes it visible. Returns its digest,
    /// SHA-256, and its size in bytes. If it is here already it is only protected.
    ///
    /// Goes on if the future is dropped, as long as the lease lives. If it fails nothing is left.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Io`] from this or an earlier write.
    async fn finish(self: Box<Self>) -> Result<(Digest, u64), Error>;
}

/// Sends bytes into an [`Ingest`] or a [`Stage`] from a `poll` function.
///
/// As with `futures::Sink`: [`start_send`](Sink::start_send) only after [`poll_ready`](Sink::poll_ready) was
/// ready. Bytes are handed over, not copied.
#[async_trait]
pub trait Sink: Send {
    /// See [`Ingest::offset`].
    fn offset(&self) -> u64;

    /// Ready when there is room in the queue.
    ///
    /// # Errors
    ///
    /// What stopped the writing, as in [`Ingest::write`].
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Queues bytes. Never waits; a piece of any size is taken whole.
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    fn start_send(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// As [`Ingest::write`].
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    async fn write(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// Waits until everything accepted so far is hashed and written. It need not be durable: that is done by
    /// [`Ingest::commit`].
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    async fn flush(&mut self) -> Result<(), Error>;
}

/// Durable pointers with labels.
#[async_trait]
pub trait Names {
    /// A number that grows with every change of names, deletion of content or news of damage, by any
    /// process. Costs microseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    fn generation(&self) -> Result<u64, Error>;

    /// Every name space that has a name, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    async fn namespaces(&self) -> Result<Vec<String>, Error>;

    /// Every name of a name space in name order (by bytes), and the generation read.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    async fn names(&self, namespace: &str) -> Result<(u64, Arc<Vec<Name>>), Error>;

    /// Applies all changes or none, in order: later ones see earlier ones. Returns the new generation.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if an expectation does not hold or `generation` is given and not current;
    /// [`Error::NotFound`] if a target is not in the store, unless it loses another name by this;
    /// [`Error::Invalid`] if a name breaks the bounds given at [`Change`].
    async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64, Error>;
}

/// What keeps content while it is used.
#[async_trait]
pub trait Leases {
    /// Starts a lease. Where nothing can be written leases protect nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Database`].
    async fn acquire_lease(&self) -> Result<Lease, Error>;
}

/// Keeps content from being deleted, and holds locks, until its last clone is dropped, or its process ends.
#[derive(Clone, Debug)]
pub struct Lease(Arc<dyn Hold>);

/// A lease as its backend has it. Dropping it gives everything back, and takes no time.
#[async_trait]
pub trait Hold: Any + Debug + Send + Sync {
    /// See [`Lease::lock`]. Must not end before a lock is taken that nobody waits for any more.
    async fn lock(self: Arc<Self>, name: String) -> Result<bool, Error>;
}

impl Lease {
    /// The lease that ends when `hold` is dropped.
    pub fn new(hold: impl Hold) -> Lease {
        Lease(Arc::new(hold))
    }

    /// What it was made of, `None` if that is of another kind: the lease is of another backend.
    pub fn hold<H: Hold>(&self) -> Option<&H> {
        let hold: &dyn Any = &*self.0;
        hold.downcast_ref()
    }

    /// Takes the lock `name` for as long as the lease lives, across processes. False if another lease has
    /// it.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if the name is not 1 to 4096 bytes long; [`Error::NoSpace`],
    /// [`Error::ReadOnly`].
    pub async fn lock(&self, name: &str) -> Result<bool, Error> {
        Arc::clone(&self.0).lock(name.to_owned()).await
    }
}

/// What is known of blobs besides their bytes, and can be found out again.
#[async_trait]
pub trait Facts {
    /// Facts about a layer, computed at first need and kept.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Invalid`] if it does not decompress, or to far too much;
    /// [`Error::Busy`] if there was no memory to decompress it; [`Error::DigestMismatch`] if it is not what
    /// was promised through [`expect_diff_ids`](Facts::expect_diff_ids).
    async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts, Error>;

    /// What [`layer_facts`](Facts::layer_facts) found before, `None` if it was not asked yet.
    ///
    /// # Errors
    ///
    /// [`Error::DigestMismatch`] as there; [`Error::Database`].
    async fn known_layer_facts(&self, digest: &Digest) -> Result<Option<LayerFacts>, Error>;

    /// Queues layers, as (blob, diff-id), for a check in the background.
    ///
    /// Diff-ids of other algorithms than SHA-256 are not checked.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<(), Error>;

    /// What [`remember`](Facts::remember) kept about a blob. `None` if it is gone or not exactly what it was.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `kind` is not `[a-z0-9-]+`, at most 32 bytes.
    async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>, Error>;

    /// Keeps what was derived from a blob and can be derived again: one piece of data of each kind, until
    /// its blob is deleted or the room is needed. Not being able to is no failure.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`] beyond 64 MiB; [`Error::Argument`] as [`recall`](Facts::recall).
    async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<(), Error>;

    /// What [`remember_all`](Facts::remember_all) kept about these blobs, in their order. `None` also once
    /// the file of the blob is another, or known to be damaged.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] as [`recall`](Facts::recall).
    async fn recall_all(
        &self,
        subjects: &[Digest],
        kind: &str,
    ) -> Result<Vec<Option<Vec<u8>>>, Error>;

    /// Keeps little data of many blobs together: [`remember`](Facts::remember) for what is recalled by the
    /// thousand. All of it may go at once.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`] beyond 64 KiB of one blob; [`Error::Argument`] as [`recall`](Facts::recall).
    async fn remember_all(&self, data: Vec<(Digest, Vec<u8>)>, kind: &str) -> Result<(), Error>;
}
