//! What the engine asks of a store: the Rust side of `content`, `names`, `leases` and `facts` in `wit/`, where every
//! rule is written down.

use strata_oci::Digest;

use crate::{Body, Error, Result};

/// Where a name points: the part of a descriptor a store keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Media type of the content.
    pub media_type: String,
    /// Digest of the stored bytes.
    pub digest: Digest,
    /// Size of the stored bytes.
    pub size: u64,
}

/// A durable named pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Unique within its name space.
    pub name: String,
    /// What it points at.
    pub target: Target,
    /// Small facts, in key order.
    pub labels: Vec<(String, String)>,
    /// Milliseconds since 1970, when first set.
    pub created: i64,
    /// Milliseconds since 1970, when it last got its target.
    pub updated: i64,
}

/// What a name must be for a change to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Anything.
    Any,
    /// Not there.
    Absent,
    /// Pointing at this digest.
    Target(Digest),
}

/// One part of an atomic change of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Set a name; labels are replaced.
    Set {
        /// Name space.
        namespace: String,
        /// The name.
        name: String,
        /// Its target, which must be in the store.
        target: Target,
        /// Its labels.
        labels: Vec<(String, String)>,
        /// Guard.
        expected: Expectation,
    },
    /// Remove a name.
    Remove {
        /// Name space.
        namespace: String,
        /// The name.
        name: String,
        /// Guard.
        expected: Expectation,
    },
}

/// Facts about a layer that are learned once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFacts {
    /// Digest of the uncompressed layer.
    pub diff_id: Digest,
    /// Bytes of the uncompressed layer.
    pub size: u64,
}

/// What hashing a blob again found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are those of the digest; so many.
    Intact(u64),
    /// It is not here.
    Absent,
    /// The bytes are others: why. It is marked.
    Damaged(String),
}

/// What opening an ingest found.
pub enum IngestState<I> {
    /// The blob is here and protected by the lease.
    Present,
    /// Someone else writes it and has this many bytes.
    Busy(u64),
    /// Ours to write.
    Open(I),
}

/// A blob being written. Dropping it keeps what is durable.
pub trait Ingest {
    /// What [`Ingest::append`] takes.
    type Body;

    /// Bytes accepted so far.
    fn offset(&self) -> u64;

    /// Appends a body to its end; the new offset.
    ///
    /// # Errors
    /// [`crate::Error::Unavailable`] if the body was cut (what came is kept), else as WIT
    /// `store.ingest.append`.
    async fn append(&self, body: Self::Body) -> Result<u64>;

    /// Appends bytes at hand, at most 1 MiB; the new offset.
    ///
    /// # Errors
    /// As WIT `store.ingest.write`.
    async fn write(&self, bytes: Vec<u8>) -> Result<u64>;

    /// Verifies, makes durable, publishes.
    ///
    /// # Errors
    /// As WIT `store.ingest.commit`.
    async fn commit(&self) -> Result<()>;

    /// Forgets the bytes.
    ///
    /// # Errors
    /// As WIT `store.ingest.reset`.
    async fn reset(&self) -> Result<()>;
}

/// A blob being written whose digest is not known yet. Dropping it discards it.
pub trait Stage {
    /// Appends bytes, at most 1 MiB.
    ///
    /// # Errors
    /// As WIT `store.stage.write`.
    async fn write(&self, bytes: Vec<u8>) -> Result<()>;

    /// Makes the bytes durable, publishes them under the lease, and says which blob
    /// they are: its SHA-256 digest and its size.
    ///
    /// # Errors
    /// As WIT `store.stage.finish`.
    async fn finish(&self) -> Result<(Digest, u64)>;
}

/// Keeps content and holds locks until it is dropped.
pub trait Lease {
    /// Takes a lock for as long as the lease lives; false if another lease has it.
    ///
    /// # Errors
    /// As WIT `store.lease.lock`.
    async fn lock(&self, name: &str) -> Result<bool>;
}

/// Content, names and leases. Errors: as `wit/` says, function by function.
#[expect(
    missing_docs,
    reason = "wit/{content,names,leases,facts}.wit document each function"
)]
pub trait Store {
    type Body: Body<Error = Error>;
    type Ingest: Ingest<Body = Self::Body>;
    type Stage: Stage;
    type Lease: Lease;

    async fn stat(&self, digest: &Digest, lease: Option<&Self::Lease>) -> Result<Option<u64>>;
    async fn stat_all(
        &self,
        digests: &[Digest],
        lease: Option<&Self::Lease>,
    ) -> Result<Vec<Option<u64>>>;
    async fn get(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>>;
    async fn read(&self, digest: &Digest, offset: u64, length: Option<u64>) -> Result<Self::Body>;
    async fn put(&self, digest: &Digest, data: Vec<u8>, lease: &Self::Lease) -> Result<()>;
    async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        lease: &Self::Lease,
    ) -> Result<IngestState<Self::Ingest>>;
    async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        lease: &Self::Lease,
    ) -> Result<Self::Ingest>;
    async fn stage(&self, lease: &Self::Lease) -> Result<Self::Stage>;
    async fn stage_like(&self, lease: &Self::Lease, like: &Digest) -> Result<Self::Stage>;
    async fn decompress(&self, body: Self::Body) -> Result<Self::Body>;
    async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts>;
    async fn known_layer(&self, digest: &Digest) -> Result<Option<LayerFacts>>;
    async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<()>;
    async fn blobs(&self) -> Result<Vec<(Digest, u64)>>;
    async fn discard_ingests(&self) -> Result<u64>;
    async fn delete(&self, digests: &[Digest], generation: u64) -> Result<Vec<(Digest, u64)>>;

    async fn verify(&self, digest: &Digest) -> Result<Verdict>;
    async fn note_missing(&self, digest: &Digest) -> Result<()>;
    async fn damaged(&self) -> Result<Vec<(Digest, String)>>;
    async fn quarantine(&self, digest: &Digest) -> Result<()>;
    async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<()>;
    async fn sources(&self, digest: &Digest) -> Result<Vec<String>>;

    async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>>;
    async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<()>;
    async fn recall_all(&self, subjects: &[Digest], kind: &str) -> Result<Vec<Option<Vec<u8>>>>;
    async fn remember_all(&self, data: Vec<(Digest, Vec<u8>)>, kind: &str) -> Result<()>;

    fn generation(&self) -> Result<u64>;
    async fn namespaces(&self) -> Result<Vec<String>>;
    async fn names(&self, namespace: &str) -> Result<(u64, Vec<Name>)>;
    async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64>;

    async fn acquire_lease(&self) -> Result<Self::Lease>;
}
