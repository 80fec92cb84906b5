//! Whole blobs: reading, storing small ones, and deleting what is garbage.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use bytes::Bytes;

use crate::error::Doing as _;
use crate::layout::Layout;
use crate::open::Inner;
use crate::{Algorithm, Digest, Error, database, digest, owner, trash};

/// Prefix of temporary files of [`put`], which cannot be the name of an ingest.
pub(crate) const PUT_PREFIX: &str = "put-";

/// Reads a blob of at most `limit` bytes and checks its digest.
pub(crate) fn get(layout: &Layout, digest: &Digest, limit: u64) -> Result<Bytes, Error> {
    let (mut file, size) = layout.open_blob(digest)?;
    if size > limit {
        return Err(Error::TooLarge {
            digest: digest.clone(),
            size,
            limit,
        });
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
    digest::verify(digest, &bytes)?;
    Ok(bytes.into())
}

/// Stores a small blob that is protected already.
pub(crate) fn put(inner: &Inner, digest: &Digest, bytes: &[u8]) -> Result<(), Error> {
    digest::verify(digest, bytes)?;
    if inner.layout.blob_size(digest)?.is_some() {
        return Ok(());
    }
    let path = inner
        .layout
        .ingests()
        .join(format!("{PUT_PREFIX}{}", inner.unique()));
    let stored = inner.trash.make_room(|| {
        // Nobody's but this call's: what a full disk left of it goes first.
        let _ = fs::remove_file(&path);
        write_locked(&path, bytes)
            .doing(|| format!("writing {digest}"))
            .and_then(|_locked| inner.layout.publish(&path, digest))
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

/// Removes blobs that are neither leased nor were referred to at `generation`.
pub(crate) fn delete(
    inner: &Inner,
    digests: &[Digest],
    generation: u64,
) -> Result<Vec<(Digest, u64)>, Error> {
    let mut held = Vec::new();
    let result = inner.database.write(|transaction, head| {
        if generation < head.names || generation > head.generation {
            return Err(Error::Conflict(format!(
                "names changed since generation {generation}, it is {} now; \
                 find out again what is unused",
                head.generation
            )));
        }
        let (removed, failure) = inner
            .leases
            .exclude(|leased| Ok(remove_unleased(inner, digests, leased, &mut held)))?;
        if !removed.is_empty() {
            // After unlinking, as on a full disk there is no room for a commit before.
            database::advance(transaction, false)?;
            forget(transaction, &removed)?;
        }
        Ok((removed, failure))
    });
    inner.trash.close(held);
    let (removed, failure) = result?;
    if digests.len() > trash::FEW {
        inner.trash.empty(&inner.layout);
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(removed),
    }
}

/// Removes what it can. What is gone is returned even after a failure: the other processes have to
/// be told.
fn remove_unleased(
    inner: &Inner,
    digests: &[Digest],
    leased: &HashSet<String>,
    held: &mut Vec<File>,
) -> (Vec<(Digest, u64)>, Option<Error>) {
    let small = if digests.len() > trash::FEW {
        trash::LARGE
    } else {
        0
    };
    let mut removed = Vec::new();
    let mut failure = None;
    let mut algorithms = HashSet::new();
    for digest in digests
        .iter()
        .filter(|digest| !leased.contains(digest.as_str()))
    {
        match inner.layout.remove_blob(digest, small, held) {
            Ok(Some(size)) => {
                algorithms.insert(digest.algorithm());
                removed.push((digest.clone(), size));
            }
            Ok(None) => {}
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
    (removed, failure)
}

/// Drops what was known about removed layers.
fn forget(transaction: &rusqlite::Transaction<'_>, removed: &[(Digest, u64)]) -> Result<(), Error> {
    let mut facts = transaction.prepare_cached("DELETE FROM facts WHERE digest = ?")?;
    let mut checks = transaction.prepare_cached("DELETE FROM checks WHERE digest = ?")?;
    for (digest, _) in removed {
        facts.execute([digest.as_str()])?;
        checks.execute([digest.as_str()])?;
    }
    Ok(())
}
