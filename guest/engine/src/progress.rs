//! What a running operation reports: the Rust side of WIT's `progress`.

use strata_oci::{Descriptor, Digest, Reference};

use crate::Error;

/// Receives progress. Called often and synchronously: implementations queue.
pub trait Progress {
    /// Takes one record.
    fn report(&self, event: Event);
}

/// Drops every record.
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _event: Event) {}
}

/// One progress record. Order: for each reference `Resolved`, then its blobs'
/// records, then `Completed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A name was resolved and its content is about to move.
    Resolved(Resolved),
    /// Progress of one blob.
    Blob(BlobProgress),
    /// Progress of content whose digest is not known yet.
    Content(ContentProgress),
    /// One platform was pushed in place of an index. At most one for a reference.
    Substituted(Box<Substituted>),
    /// A failure that will be tried again.
    Retry(Retry),
    /// A text for people: a registry asked to show it, or something could not be done
    /// that the operation does not depend on.
    Warning(String),
    /// A reference is complete.
    Completed(Completed),
}

/// See [`Event::Resolved`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The reference, with tag or digest.
    pub reference: Reference,
    /// Digest of its target.
    pub digest: Digest,
}

/// See [`Event::Blob`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobProgress {
    /// Digest of the stored bytes.
    pub digest: Digest,
    /// What is happening to it.
    pub phase: Phase,
    /// Bytes done; may go back when a transfer starts over.
    pub current: u64,
    /// Bytes in all; 0 when unknown.
    pub total: u64,
    /// With [`Phase::Mounted`]: the repository it came from, without domain.
    pub mounted_from: Option<String>,
}

/// See [`Event::Content`]: a root file system that is imported, a tar that is copied
/// in, a layer that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ContentProgress {
    /// What is happening to it.
    pub phase: Phase,
    /// Bytes done.
    pub current: u64,
    /// Bytes in all; 0 when unknown.
    pub total: u64,
}

/// What a blob is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Known, not started.
    Queued,
    /// Coming in.
    Downloading,
    /// Here, verified and durable.
    Downloaded,
    /// Was here already.
    AlreadyExists,
    /// Going out.
    Uploading,
    /// The registry has it.
    Uploaded,
    /// The registry took it from another of its repositories.
    Mounted,
    /// Waits for another attempt.
    Retrying,
    /// Not here and not needed.
    Unavailable,
    /// Here, and compared with its digest.
    Verifying,
}

/// See [`Event::Retry`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// What failed; `None` when it was not a blob.
    pub digest: Option<Digest>,
    /// The attempt about to be made, counted from 2.
    pub attempt: u32,
    /// Milliseconds until then.
    pub delay: u32,
    /// Why.
    pub reason: Error,
}

/// Not all of an index was here, so the manifest of one platform was pushed under
/// its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Substituted {
    /// The index the name points at.
    pub index: Descriptor,
    /// What was pushed.
    pub manifest: Descriptor,
}

/// See [`Event::Completed`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completed {
    /// The reference.
    pub reference: Reference,
    /// Digest of its target.
    pub digest: Digest,
    /// Size of the target document in bytes.
    pub size: u64,
    /// False when the name already pointed at this digest.
    pub changed: bool,
}
