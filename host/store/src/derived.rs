//! Data derived from blobs at some cost, kept so that it need not be derived again.
//!
//! One file per blob and kind ([`pack`]: of each kind), with a checksum, written without waiting for the disk: what is torn,
//! changed or no file at all counts as absent. So nothing here is ever needed, and everything may go: with its
//! blob, when there is too much of it the least recently used first, and all of it before a disk is
//! said to be full.

mod file;
pub(crate) mod pack;
pub(crate) mod sum;

use std::fs;
use std::sync::Arc;

use crate::damage::Damage;
use crate::layout::Layout;
use crate::{Digest, Error, regular};
use file::{MAX_ENTRY, name_of, note_use, path};
use pack::Packs;
use sum::Sum;

pub(crate) use file::check_kind;

/// Data up to this size on disk is read on the caller's thread, in bytes.
pub(crate) const INLINE: u64 = 64 * 1024;

/// The derived data of a store.
pub(crate) struct Derived {
    layout: Arc<Layout>,
    sum: Arc<Sum>,
    pub(crate) packs: Arc<Packs>,
    /// Large data read at once: each may take [`MAX_ENTRY`] twice.
    pub(crate) permits: tokio::sync::Semaphore,
}

impl Derived {
    pub(crate) fn new(damage: &Arc<Damage>) -> Derived {
        let sum = Arc::new(Sum::default());
        Derived {
            layout: damage.names.layout.clone(),
            packs: Arc::new(Packs::new(damage.clone(), sum.clone())),
            sum,
            permits: tokio::sync::Semaphore::new(2),
        }
    }

    /// Bytes on disk, `None` if there is nothing.
    pub(crate) fn stored_size(&self, subject: &Digest, kind: &str) -> Option<u64> {
        fs::symlink_metadata(path(&self.layout, &name_of(subject), kind))
            .ok()
            .map(|metadata| metadata.len())
    }

    /// What is kept, if it is whole and its blob is here.
    pub(crate) fn recall(&self, subject: &Digest, kind: &str) -> Option<Vec<u8>> {
        let name = name_of(subject);
        let path = path(&self.layout, &name, kind);
        let Ok((mut file, metadata)) = regular::open(&path) else {
            if self.layout.is_writable() {
                regular::clear_other(&path, false);
            }
            return None;
        };
        let data = file::read(&mut file, &metadata, subject.as_str(), kind);
        let is_orphan = matches!(self.layout.stamp(subject), Ok(None));
        if data.is_none() || is_orphan {
            if self.layout.is_writable() {
                let _ = fs::remove_file(&path);
            }
            return None;
        }
        if self.layout.is_writable() {
            note_use(&file, &metadata);
        }
        data
    }

    /// Keeps data, if that is possible.
    pub(crate) fn remember(&self, subject: &Digest, kind: &str, data: &[u8]) -> Result<(), Error> {
        check_kind(kind)?;
        if data.len() > MAX_ENTRY {
            return Err(Error::TooMuch(format!(
                "{} bytes of {kind} of {subject} are more than the {MAX_ENTRY} kept",
                data.len()
            )));
        }
        if !self.layout.is_writable() || !matches!(self.layout.stamp(subject), Ok(Some(_))) {
            return Ok(());
        }
        let name = name_of(subject);
        match file::write(&self.layout, &name, subject.as_str(), kind, data) {
            Ok(size) => self.sum.add(&self.layout, size),
            Err(error) => tracing::debug!(%subject, kind, %error, "derived data is not kept"),
        }
        if matches!(self.layout.stamp(subject), Ok(None)) {
            // Deleted in between, when this was not there yet to go with it.
            let _ = fs::remove_file(path(&self.layout, &name, kind));
        }
        Ok(())
    }

    /// Removes what was derived from deleted blobs.
    pub(crate) fn forget(&self, gone: &[(Digest, u64)]) {
        self.packs.forget(gone);
        for kind in file::kinds(&self.layout) {
            for (digest, _) in gone {
                let _ = regular::clear(&kind.join(name_of(digest)));
            }
        }
    }
}
