//! A blob that is here and may be what is being staged: compared instead of written.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use bytes::Bytes;
use strata_codec::buffer;

use crate::content::Blobs;
use crate::layout::Unopened;
use crate::{Digest, Error};

/// Bytes compared at once.
const PART: usize = 256 * 1024;

/// A blob that staged bytes are compared with.
pub(super) struct Twin {
    digest: Digest,
    file: File,
    size: u64,
    /// Bytes that were equal.
    position: u64,
}

thread_local! {
    /// What is read to be compared, and where in it the room begins. Of each writing thread rather than
    /// of each blob: those may be many, and stand still.
    static STORED: RefCell<(Vec<u8>, usize)> = {
        let (mut buffer, start) = buffer(PART);
        buffer.resize(start + PART, 0);
        RefCell::new((buffer, start))
    };
}

impl Twin {
    /// Opens the blob, protected by `lease` from now on; `None` if it is not here.
    pub(super) fn open(
        content: &Blobs,
        digest: &Digest,
        lease: u64,
    ) -> Result<Option<Twin>, Error> {
        // First protected, then looked for: see the rule in `lease`.
        content
            .leases
            .protect(lease, std::slice::from_ref(digest))?;
        if content.damage.present(digest)?.is_none() {
            return Ok(None);
        }
        let (file, stamp) = match content.layout().open_blob(digest) {
            Ok(opened) => opened,
            Err(Unopened::Failed(Error::NotFound(_)) | Unopened::Broken(_)) => return Ok(None),
            Err(Unopened::Failed(error)) => return Err(error),
        };
        Ok(Some(Twin {
            digest: digest.clone(),
            file,
            size: stamp.size,
            position: 0,
        }))
    }

    pub(super) fn digest(&self) -> &Digest {
        &self.digest
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes these are, if the blob goes on with them. A blob that cannot be read is
    /// another one.
    pub(super) fn equal(&mut self, pieces: &VecDeque<Bytes>) -> Option<u64> {
        let position = STORED.with_borrow_mut(|(buffer, start)| {
            let mut position = self.position;
            for part in pieces.iter().flat_map(|piece| piece.chunks(PART)) {
                let stored = buffer.get_mut(*start..)?.get_mut(..part.len())?;
                self.file.read_exact_at(stored, position).ok()?;
                if stored != part {
                    return None;
                }
                position += part.len() as u64;
            }
            Some(position)
        })?;
        let equal = position - self.position;
        self.position = position;
        Some(equal)
    }

    /// Some of its bytes, at least one and at most `limit`, which is not 0.
    pub(super) fn read(&self, offset: u64, limit: u64) -> io::Result<Bytes> {
        let length = usize::try_from(limit).map_or(PART, |limit| limit.min(PART));
        let (mut bytes, start) = buffer(length);
        bytes.resize(start + length, 0);
        self.file.read_exact_at(&mut bytes[start..], offset)?;
        Ok(Bytes::from(bytes).slice(start..))
    }
}
