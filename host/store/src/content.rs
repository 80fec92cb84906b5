//! Whole blobs: reading, and storing small ones.

pub(crate) mod deletion;

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::damage::Damage;
use crate::derived::{Derived, sum};
use crate::error::Doing as _;
use crate::layout::{Broken, Layout, Stamp, Unopened};
use crate::lease::LeaseTable;
use crate::trash::Trash;
use crate::{Digest, Error, owner, partial, verify};

/// Why a blob was not read.
pub(crate) enum Unread {
    Failed(Error),
    /// The bytes of this file have another digest. It is not marked yet: that may wait for the disk.
    Damaged {
        stamp: Stamp,
        actual: Digest,
    },
    /// It cannot be opened. It is not marked yet either.
    Broken(Broken),
}

impl From<Error> for Unread {
    fn from(error: Error) -> Unread {
        Unread::Failed(error)
    }
}

impl From<Unopened> for Unread {
    fn from(unopened: Unopened) -> Unread {
        match unopened {
            Unopened::Failed(error) => Unread::Failed(error),
            Unopened::Broken(broken) => Unread::Broken(broken),
        }
    }
}

impl Unread {
    /// As an error; a damaged blob is marked first.
    pub(crate) fn settle(self, damage: &Damage, digest: &Digest) -> Error {
        match self {
            Unread::Failed(error) => error,
            Unread::Damaged { stamp, actual } => Error::Damaged {
                digest: digest.clone(),
                reason: damage.mismatched(digest, stamp, &actual),
            },
            Unread::Broken(broken) => damage.settle(digest, Unopened::Broken(broken)),
        }
    }
}

/// Reads a blob of at most `limit` bytes and checks its digest.
pub(crate) fn get(damage: &Damage, digest: &Digest, limit: u64) -> Result<Bytes, Unread> {
    let (mut file, stamp) = damage.layout().open_blob(digest)?;
    let size = stamp.size;
    if size > limit {
        return Err(Error::TooLarge {
            digest: digest.clone(),
            size,
            limit,
        }
        .into());
    }
    let length = usize::try_from(size).map_err(|_| Error::TooLarge {
        digest: digest.clone(),
        size,
        limit,
    })?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)
        .doing(|| format!("reading {digest}"))?;
    // Hashing a manifest costs microseconds, and other tools write into this layout, too.
    match verify::bytes(digest, &bytes) {
        Err(Error::DigestMismatch { actual, .. }) => Err(Unread::Damaged { stamp, actual }),
        other => {
            other?;
            damage.lift_if_marked(digest, stamp);
            Ok(bytes.into())
        }
    }
}

/// Whether a blob is here with exactly these bytes.
fn is_here(damage: &Damage, digest: &Digest, bytes: &[u8]) -> Result<bool, Error> {
    if damage.present(digest)? != Some(bytes.len() as u64) {
        return Ok(false);
    }
    // Reading a small blob costs less than writing one. What cannot be read is replaced as well.
    match get(damage, digest, bytes.len() as u64) {
        Ok(_) => Ok(true),
        Err(unread) => {
            let error = unread.settle(damage, digest);
            tracing::info!(%digest, %error, "a blob is replaced");
            Ok(false)
        }
    }
}

/// Makes a complete, synced file visible as a blob, durably, in place of a damaged one.
pub(crate) fn publish(damage: &Damage, file: &Path, digest: &Digest) -> Result<(), Error> {
    damage.layout().publish(file, digest)?;
    damage.lift(digest);
    Ok(())
}

/// What stores and deletes blobs.
pub(crate) struct Blobs {
    pub(crate) damage: Arc<Damage>,
    pub(crate) leases: Arc<LeaseTable>,
    pub(crate) derived: Arc<Derived>,
    pub(crate) trash: Trash,
}

impl Blobs {
    pub(crate) fn layout(&self) -> &Layout {
        self.damage.layout()
    }

    /// Stores a small blob that is protected already.
    pub(crate) fn put(&self, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
        verify::bytes(digest, bytes)?;
        if is_here(&self.damage, digest, bytes)? {
            return Ok(());
        }
        let path = partial::put_path(self.layout());
        let stored = self.make_room(|| {
            // Nobody's but this call's: what a full disk left of it goes first.
            let _ = fs::remove_file(&path);
            write_locked(&path, bytes)
                .doing(|| format!("writing {digest}"))
                .and_then(|_locked| publish(&self.damage, &path, digest))
        });
        if stored.is_err() {
            let _ = fs::remove_file(&path);
        }
        stored
    }

    /// Does `work`, and once more if the disk was full, with all room made that costs nothing.
    pub(crate) fn make_room<T>(&self, work: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let give_up = || {
            // Of downloads that nobody works on; who fetches them again begins at the start.
            let partial = partial::discard(self.layout()).unwrap_or_default();
            sum::clear(self.layout()) || partial > 0
        };
        self.trash.make_room(give_up, work)
    }
}

/// Writes and syncs a temporary file, and returns it locked.
fn write_locked(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = owner::create_locked(path)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(file)
}
