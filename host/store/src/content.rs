//! Whole blobs: reading, storing small ones, and deleting what is garbage.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::damage::{self, Stamp};
use crate::error::Doing as _;
use crate::layout::{Broken, Removed, Unopened};
use crate::open::Inner;
use crate::{
    Algorithm, Digest, Error, database, derived, digest, owner, reserve, source, trash, verify,
};

/// How long one batch of a deletion unlinks, while nobody else can change names or take leases. With
/// what making it durable takes, that is well below the 100 ms somebody may notice.
const BATCH: Duration = Duration::from_millis(40);
/// Pause between two batches: who waited comes first.
const PAUSE: Duration = Duration::from_millis(5);

/// Prefix of temporary files of [`put`], which cannot be the name of an ingest.
pub(crate) const PUT_PREFIX: &str = "put-";

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
    pub(crate) fn settle(self, inner: &Inner, digest: &Digest) -> Error {
        match self {
            Unread::Failed(error) => error,
            Unread::Damaged { stamp, actual } => Error::Damaged {
                digest: digest.clone(),
                reason: verify::found(inner, digest, stamp, &actual),
            },
            Unread::Broken(broken) => damage::settle(inner, digest, Unopened::Broken(broken)),
        }
    }
}

/// Reads a blob of at most `limit` bytes and checks its digest.
pub(crate) fn get(inner: &Inner, digest: &Digest, limit: u64) -> Result<Bytes, Unread> {
    let (mut file, stamp) = inner.layout.open_blob(digest)?;
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
    match digest::verify(digest, &bytes) {
        Err(Error::DigestMismatch { actual, .. }) => Err(Unread::Damaged { stamp, actual }),
        other => {
            other?;
            damage::lift_if_marked(inner, digest, stamp);
            Ok(bytes.into())
        }
    }
}

/// Whether a blob is here with exactly these bytes.
fn is_here(inner: &Inner, digest: &Digest, bytes: &[u8]) -> Result<bool, Error> {
    if damage::present(inner, digest)? != Some(bytes.len() as u64) {
        return Ok(false);
    }
    // Reading a small blob costs less than writing one. What cannot be read is replaced as well.
    match get(inner, digest, bytes.len() as u64) {
        Ok(_) => Ok(true),
        Err(unread) => {
            let error = unread.settle(inner, digest);
            tracing::info!(%digest, %error, "a blob is replaced");
            Ok(false)
        }
    }
}

/// Makes a complete, synced file visible as a blob, durably, in place of a damaged one.
pub(crate) fn publish(inner: &Inner, file: &Path, digest: &Digest) -> Result<(), Error> {
    inner.layout.publish(file, digest)?;
    damage::lift(inner, digest);
    Ok(())
}

/// Stores a small blob that is protected already.
pub(crate) fn put(inner: &Inner, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
    digest::verify(digest, bytes)?;
    if is_here(inner, digest, bytes)? {
        return Ok(());
    }
    let path = inner
        .layout
        .ingests()
        .join(format!("{PUT_PREFIX}{}", inner.unique()));
    let stored = inner.make_room(|| {
        // Nobody's but this call's: what a full disk left of it goes first.
        let _ = fs::remove_file(&path);
        write_locked(&path, bytes)
            .doing(|| format!("writing {digest}"))
            .and_then(|_locked| publish(inner, &path, digest))
    });
    if stored.is_err() {
        let _ = fs::remove_file(&path);
    }
    stored
}

/// Writes and syncs a temporary file, and returns it locked.
fn write_locked(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut file = owner::create_locked(path)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(file)
}

/// Removes blobs that are neither leased nor were referred to at `generation`, in batches: between two
/// of them others get at the databases, and names and leases are looked at again.
pub(crate) fn delete(
    inner: &Inner,
    digests: &[Digest],
    generation: u64,
) -> Result<Vec<(Digest, u64)>, Error> {
    delete_in_batches(inner, digests, generation, BATCH, || {
        std::thread::sleep(PAUSE);
    })
}

/// The same in batches of this length, with a `pause` between two.
fn delete_in_batches(
    inner: &Inner,
    digests: &[Digest],
    generation: u64,
    length: Duration,
    mut pause: impl FnMut(),
) -> Result<Vec<(Digest, u64)>, Error> {
    let mut deletion = Deletion {
        is_large: digests.len() > trash::FEW,
        length,
        ..Deletion::default()
    };
    let mut rest = digests;
    let result = loop {
        let start = deletion.removed.len();
        inner.leases.follow()?;
        let mut batch = reserve::spend(&inner.layout, || {
            deletion.batch(inner, rest, start, generation)
        });
        if matches!(batch, Err(Error::Locked(_))) && inner.leases.follow()? {
            batch = deletion.batch(inner, rest, start, generation);
        }
        derived::forget(inner, &deletion.removed[start..]);
        match batch {
            Ok(done) => rest = rest.get(done..).unwrap_or_default(),
            // What is left is to be found out again.
            Err(Error::Conflict(_)) if start > 0 => break Ok(()),
            Err(error) => break Err(error),
        }
        if rest.is_empty() {
            break Ok(());
        }
        pause();
    };
    inner.trash.close(deletion.held);
    if deletion.is_large || deletion.has_trash {
        inner.trash.empty(&inner.layout);
    }
    result.map(|()| deletion.removed)
}

/// Blobs being deleted.
#[derive(Default)]
struct Deletion {
    is_large: bool,
    /// How long one batch unlinks.
    length: Duration,
    /// Whether something is in the trash although it was not many blobs.
    has_trash: bool,
    removed: Vec<(Digest, u64)>,
    /// Removed blobs whose space is not given back yet.
    held: Vec<File>,
}

impl Deletion {
    /// Removes blobs for as long as others may wait, and returns how many of `digests` it looked at.
    /// Those removed from `start` on are of this batch, in an earlier attempt at it too.
    fn batch(
        &mut self,
        inner: &Inner,
        digests: &[Digest],
        start: usize,
        generation: u64,
    ) -> Result<usize, Error> {
        let (done, failure) = inner.database.write(|transaction, head| {
            if generation < head.names || generation > head.generation {
                return Err(Error::Conflict(format!(
                    "names changed since generation {generation}, it is {} now; \
                     find out again what is unused",
                    head.generation
                )));
            }
            let outcome = inner
                .leases
                .exclude(|leased| Ok(self.remove_unleased(inner, digests, leased)))?;
            let removed = self.removed.get(start..).unwrap_or_default();
            if !removed.is_empty() {
                // After unlinking, as on a full disk there is no room for a commit before.
                database::advance(transaction, false)?;
                match forget(transaction, removed) {
                    // What is known of blobs that are gone does no harm.
                    Err(error) if error.is_broken() => {
                        tracing::warn!(%error, "notes on removed blobs stay")
                    }
                    forgotten => forgotten?,
                }
            }
            Ok(outcome)
        })?;
        match failure {
            Some(failure) => Err(failure),
            None => Ok(done),
        }
    }

    /// Removes what it can. What is gone is kept even after a failure: the other processes have to be
    /// told.
    fn remove_unleased(
        &mut self,
        inner: &Inner,
        digests: &[Digest],
        leased: &HashSet<String>,
    ) -> (usize, Option<Error>) {
        let small = if self.is_large { trash::LARGE } else { 0 };
        let begin = Instant::now();
        let mut done = 0;
        let mut failure = None;
        let mut algorithms = HashSet::new();
        for digest in digests {
            if done > 0 && begin.elapsed() >= self.length {
                break;
            }
            done += 1;
            if leased.contains(digest.as_str()) {
                continue;
            }
            match inner.layout.remove_blob(digest, small, &mut self.held) {
                Ok(Removed::Gone(size)) => {
                    algorithms.insert(digest.algorithm());
                    self.removed.push((digest.clone(), size));
                }
                Ok(Removed::Trashed) => {
                    algorithms.insert(digest.algorithm());
                    self.removed.push((digest.clone(), 0));
                    self.has_trash = true;
                }
                Ok(Removed::Absent) => {}
                Ok(Removed::Stays(error)) => {
                    tracing::warn!(%digest, %error, "a damaged blob cannot be removed; do it by hand");
                }
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        for algorithm in Algorithm::ALL
            .into_iter()
            .filter(|a| algorithms.contains(a))
        {
            if let Err(error) = inner.layout.sync(algorithm) {
                failure.get_or_insert(error);
            }
        }
        (done, failure)
    }
}

/// Drops what was known about removed blobs.
fn forget(transaction: &rusqlite::Transaction<'_>, removed: &[(Digest, u64)]) -> Result<(), Error> {
    let mut facts = transaction.prepare_cached("DELETE FROM facts WHERE digest = ?")?;
    let mut sums = transaction.prepare_cached("DELETE FROM facts_sums WHERE digest = ?")?;
    let mut checks = transaction.prepare_cached("DELETE FROM checks WHERE digest = ?")?;
    for (digest, _) in removed {
        facts.execute([digest.as_str()])?;
        sums.execute([digest.as_str()])?;
        checks.execute([digest.as_str()])?;
        damage::forget(transaction, digest)?;
        source::forget(transaction, digest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
