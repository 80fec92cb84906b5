//! What the store in memory knows about its blobs: damage, sources, derived data.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use strata_oci::Digest;

use super::Memory;
use crate::{Error, Result, Verdict};

/// Repositories kept of one blob, as WIT `store.note-source` says.
const SOURCES: usize = 8;
/// Largest derived data, as WIT `store.remember` says.
const MOST: usize = 64 << 20;

#[derive(Default)]
pub(super) struct Known {
    damaged: RefCell<BTreeMap<Digest, String>>,
    /// What cannot be read, which nobody knows until it is looked for.
    unreadable: RefCell<BTreeSet<Digest>>,
    sources: RefCell<BTreeMap<Digest, Vec<String>>>,
    derived: RefCell<BTreeMap<(Digest, String), Vec<u8>>>,
}

impl Known {
    pub(super) fn reason(&self, digest: &Digest) -> Option<String> {
        self.damaged.borrow().get(digest).cloned()
    }

    pub(super) fn damaged(&self) -> Vec<(Digest, String)> {
        let damaged = self.damaged.borrow();
        let damaged = damaged.iter();
        damaged.map(|(d, why)| (d.clone(), why.clone())).collect()
    }

    pub(super) fn lift(&self, digest: &Digest) {
        self.damaged.borrow_mut().remove(digest);
        self.unreadable.borrow_mut().remove(digest);
    }

    /// All derived data went to make room.
    pub(super) fn forget_derived(&self) {
        self.derived.borrow_mut().clear();
    }

    /// The blob is deleted.
    pub(super) fn forget(&self, digest: &Digest) {
        self.lift(digest);
        self.sources.borrow_mut().remove(digest);
        let mut derived = self.derived.borrow_mut();
        derived.retain(|(subject, _), _| subject != digest);
    }

    pub(super) fn note_source(&self, digests: &[Digest], repository: &str) {
        let mut sources = self.sources.borrow_mut();
        for digest in digests {
            let known = sources.entry(digest.clone()).or_default();
            known.retain(|it| it != repository);
            known.insert(0, repository.to_owned());
            known.truncate(SOURCES);
        }
    }

    pub(super) fn sources(&self, digest: &Digest) -> Vec<String> {
        let sources = self.sources.borrow();
        sources.get(digest).cloned().unwrap_or_default()
    }

    pub(super) fn recall(&self, subject: &Digest, kind: &str) -> Option<Vec<u8>> {
        let key = (subject.clone(), kind.to_owned());
        self.derived.borrow().get(&key).cloned()
    }

    pub(super) fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<()> {
        if data.len() > MOST {
            return Err(Error::QuotaExceeded("too much is derived".to_owned()));
        }
        let key = (subject.clone(), kind.to_owned());
        self.derived.borrow_mut().insert(key, data);
        Ok(())
    }
}

pub(super) fn error(digest: &Digest, reason: &str) -> Error {
    Error::Damaged(format!("blob {digest} is damaged: {reason}"))
}

impl Memory {
    /// Changes one byte of a blob, as a bad disk would: nobody knows yet.
    pub fn damage(&self, digest: &Digest) {
        let mut blobs = self.0.blobs.borrow_mut();
        let Some(bytes) = blobs.get_mut(digest) else {
            panic!("{digest} is not here");
        };
        match bytes.last_mut() {
            Some(byte) => *byte ^= 1,
            None => bytes.push(0),
        }
    }

    /// Gives a blob other bytes, as a bad disk would; whether that is known.
    pub fn replace(&self, digest: &Digest, bytes: &[u8], is_known: bool) {
        let mut blobs = self.0.blobs.borrow_mut();
        blobs.insert(digest.clone(), bytes.to_vec());
        drop(blobs);
        if is_known {
            self.mark(digest, "its bytes are others");
        }
    }

    /// Keeps only the first `length` bytes of a blob, as a bad disk would.
    pub fn truncate(&self, digest: &Digest, length: usize) {
        let mut blobs = self.0.blobs.borrow_mut();
        let Some(bytes) = blobs.get_mut(digest) else {
            panic!("{digest} is not here");
        };
        bytes.truncate(length);
    }

    /// Keeps a blob from being found and read, as a bad disk would: nobody knows yet.
    pub fn hide(&self, digest: &Digest) {
        let mut unreadable = self.0.known.unreadable.borrow_mut();
        unreadable.insert(digest.clone());
    }

    /// Marks a blob that cannot be read, when it is looked for. Whether it cannot.
    pub(super) fn is_hidden(&self, digest: &Digest) -> bool {
        let is_hidden = self.0.known.unreadable.borrow().contains(digest);
        if is_hidden && self.damage_of(digest).is_none() {
            self.note(digest, "it cannot be looked at: Input/output error");
        }
        is_hidden
    }

    /// What is known about a blob's damage.
    pub fn damage_of(&self, digest: &Digest) -> Option<String> {
        self.0.known.reason(digest)
    }

    /// Size of a blob that is not known to be damaged.
    pub(super) fn present(&self, digest: &Digest) -> Option<u64> {
        self.is_hidden(digest);
        let blobs = self.0.blobs.borrow();
        let bytes = blobs.get(digest)?;
        let is_good = self.0.known.reason(digest).is_none();
        is_good.then_some(bytes.len() as u64)
    }

    pub(crate) fn mark(&self, digest: &Digest, reason: &str) {
        if self.present(digest).is_some() {
            self.note(digest, reason);
        }
    }

    fn note(&self, digest: &Digest, reason: &str) {
        let mut damaged = self.0.known.damaged.borrow_mut();
        damaged.insert(digest.clone(), reason.to_owned());
        self.0.generation.update(|generation| generation + 1);
    }

    /// Bytes that were read, if they are what they should be.
    pub(super) fn believe(&self, digest: &Digest, bytes: Vec<u8>) -> Result<Vec<u8>> {
        if self.is_hidden(digest) {
            let reason = self.damage_of(digest).unwrap_or_default();
            return Err(error(digest, &reason));
        }
        if digest.verifies(&bytes) {
            return Ok(bytes);
        }
        let reason = "its bytes have another digest";
        self.mark(digest, reason);
        Err(error(digest, reason))
    }

    pub(super) fn examine(&self, digest: &Digest) -> Verdict {
        let Some(bytes) = self.bytes(digest) else {
            return Verdict::Absent;
        };
        let size = bytes.len() as u64;
        match self.believe(digest, bytes) {
            Ok(_) => {
                self.0.known.lift(digest);
                Verdict::Intact(size)
            }
            Err(_) => Verdict::Damaged(self.damage_of(digest).unwrap_or_default()),
        }
    }

    /// Whether a blob of `size` bytes is here and not known to be damaged.
    pub(super) fn is_whole(&self, digest: &Digest, size: u64) -> Result<bool> {
        match self.present(digest) {
            Some(found) if found != size => match self.examine(digest) {
                Verdict::Intact(_) => Err(Error::ManifestInvalid(format!(
                    "blob {digest} has {found} bytes, not {size}"
                ))),
                Verdict::Absent | Verdict::Damaged(_) => Ok(false),
            },
            found => Ok(found.is_some()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{IngestState, Store as _};

    #[test]
    fn damage_is_noticed_and_replaced_as_the_host_does() {
        futures::executor::block_on(async {
            let store = Memory::default();
            let (flipped, cut) = (store.insert(*b"flipped"), store.insert(*b"cut"));
            store.damage(&flipped);
            store.truncate(&cut, 2);
            assert_eq!(store.stat(&flipped, None).await, Ok(Some(7)));
            for digest in [&flipped, &cut] {
                let read = store.get(digest, 99).await;
                assert!(matches!(read, Err(Error::Damaged(_))), "{read:?}");
                assert_eq!(store.stat(digest, None).await, Ok(None));
            }
            assert_eq!(store.damaged().await.unwrap().len(), 2);
            let lease = store.acquire_lease().await.unwrap();
            let put = store.put(&flipped, b"flipped".to_vec(), &lease);
            put.await.unwrap();
            let opened = store.open_ingest(&cut, 3, &lease).await;
            assert!(matches!(opened, Ok(IngestState::Open(_))));
            assert_eq!(store.verify(&flipped).await, Ok(Verdict::Intact(7)));
            store.quarantine(&cut).await.unwrap();
            assert_eq!(store.verify(&cut).await, Ok(Verdict::Absent));
            assert_eq!(store.damaged().await, Ok(vec![]));
        });
    }
}
