//! Blobs on their way into the store in memory.

use std::{cell::RefCell, collections::HashMap};

use strata_oci::Digest;

use super::{Bytes, Held, Memory};
use crate::{Body as _, Error, Ingest, Result, Stage};

/// Ingests by digest, those that somebody writes and those that were left.
pub(super) type Ingests = HashMap<Digest, Left>;

/// What there is of an ingest.
#[derive(Default)]
pub(super) struct Left {
    pub(super) bytes: Vec<u8>,
    /// Somebody writes it.
    pub(super) is_open: bool,
}

impl Memory {
    /// Leaves bytes of an ingest behind, as a process that died would.
    pub fn leave_partial(&self, digest: &Digest, bytes: &[u8]) {
        let left = Left {
            bytes: bytes.to_vec(),
            is_open: false,
        };
        self.0.ingests.borrow_mut().insert(digest.clone(), left);
    }

    /// How many bytes were left of an ingest that nobody writes.
    ///
    /// # Panics
    /// If somebody does.
    pub fn partial(&self, digest: &Digest) -> Option<usize> {
        let ingests = self.0.ingests.borrow();
        let left = ingests.get(digest)?;
        assert!(!left.is_open, "nobody writes {digest} any more");
        Some(left.bytes.len())
    }

    /// The disk has room for ingests of so many bytes each.
    pub fn space(&self, bytes: usize) {
        self.0.space.set(Some(bytes));
    }
}

/// A blob being written.
pub struct Partial {
    store: Memory,
    digest: Digest,
    size: u64,
    /// The bytes of one that is nobody else's.
    own: Option<RefCell<Vec<u8>>>,
}

impl Partial {
    /// One that others know of.
    pub(super) fn shared(store: &Memory, digest: &Digest, size: u64) -> Self {
        Self::new(store, digest, size, None)
    }

    /// One that begins with these bytes, of which nobody knows.
    pub(super) fn own(store: &Memory, digest: &Digest, size: u64, bytes: Vec<u8>) -> Self {
        Self::new(store, digest, size, Some(RefCell::new(bytes)))
    }

    fn new(store: &Memory, digest: &Digest, size: u64, own: Option<RefCell<Vec<u8>>>) -> Self {
        Self {
            store: store.clone(),
            digest: digest.clone(),
            size,
            own,
        }
    }

    fn edit<R>(&self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        match &self.own {
            Some(own) => edit(&mut own.borrow_mut()),
            None => {
                let mut ingests = self.store.0.ingests.borrow_mut();
                edit(&mut ingests.entry(self.digest.clone()).or_default().bytes)
            }
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.own.is_some() {
            return;
        }
        let mut ingests = self.store.0.ingests.borrow_mut();
        if let Some(left) = ingests.get_mut(&self.digest) {
            left.is_open = false;
            if left.bytes.is_empty() {
                ingests.remove(&self.digest);
            }
        }
    }
}

impl Ingest for Partial {
    type Body = Bytes;

    fn offset(&self) -> u64 {
        self.edit(|bytes| bytes.len() as u64)
    }

    async fn append(&self, mut body: Bytes) -> Result<u64> {
        while let Some(chunk) = body.chunk().await? {
            let length = self.edit(|bytes| bytes.len()) + chunk.len();
            if self.store.0.space.get().is_some_and(|space| length > space) {
                return Err(Error::NoSpace("no space left on device".to_owned()));
            }
            if length as u64 > self.size {
                return Err(Error::InvalidArgument("too many bytes".to_owned()));
            }
            self.edit(|bytes| bytes.extend(chunk));
        }
        Ok(self.offset())
    }

    async fn write(&self, bytes: Vec<u8>) -> Result<u64> {
        self.store.enter("write");
        assert!(bytes.len() <= 1 << 20, "too many bytes at once");
        self.append(Bytes::of(bytes)).await
    }

    async fn commit(&self) -> Result<()> {
        if self.offset() < self.size {
            return Err(Error::InvalidArgument("too few bytes".to_owned()));
        }
        let bytes = self.edit(std::mem::take);
        let actual = Digest::of(self.digest.algorithm(), &bytes);
        if actual != self.digest {
            let expected = self.digest.clone();
            return Err(Error::DigestMismatch { expected, actual });
        }
        self.store.publish(&self.digest, bytes);
        Ok(())
    }

    async fn reset(&self) -> Result<()> {
        self.edit(Vec::clear);
        Ok(())
    }
}

/// A blob being written, whose digest is found in the end.
pub struct Staged {
    pub(super) store: Memory,
    pub(super) lease: Held,
    pub(super) bytes: RefCell<Vec<u8>>,
}

impl Stage for Staged {
    async fn write(&self, bytes: Vec<u8>) -> Result<()> {
        assert!(bytes.len() <= 1 << 20, "too many bytes at once");
        self.bytes.borrow_mut().extend(bytes);
        Ok(())
    }

    async fn finish(&self) -> Result<(Digest, u64)> {
        let bytes = self.bytes.take();
        let size = bytes.len() as u64;
        let digest = self.store.insert(bytes);
        self.lease.protect(&digest);
        Ok((digest, size))
    }
}
