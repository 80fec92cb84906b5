//! Deleting what is garbage, while others work.

use std::collections::HashSet;
use std::fs::File;
use std::time::{Duration, Instant};

use rusqlite::Transaction;

use super::Blobs;
use crate::facts::table;
use crate::layout::Removed;
use crate::{Algorithm, Digest, Error, damage, database, reserve, source, trash};

/// How long one batch of a deletion unlinks, while nobody else can change names or take leases. With
/// what making it durable takes, that is well below the 100 ms somebody may notice.
const BATCH: Duration = Duration::from_millis(40);
/// Pause between two batches: who waited comes first.
const PAUSE: Duration = Duration::from_millis(5);

/// Removes blobs that are neither leased nor were referred to at `generation`, in batches: between two
/// of them others get at the databases, and names and leases are looked at again.
pub(crate) fn delete(
    content: &Blobs,
    digests: &[Digest],
    generation: u64,
) -> Result<Vec<(Digest, u64)>, Error> {
    delete_in_batches(content, digests, generation, BATCH, || {
        std::thread::sleep(PAUSE);
    })
}

/// The same in batches of this length, with a `pause` between two.
fn delete_in_batches(
    content: &Blobs,
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
        content.leases.follow()?;
        let mut batch = reserve::spend(content.layout(), || {
            deletion.batch(content, rest, start, generation)
        });
        if matches!(batch, Err(Error::Locked(_))) && content.leases.follow()? {
            batch = deletion.batch(content, rest, start, generation);
        }
        content.derived.forget(&deletion.removed[start..]);
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
    content.trash.close(deletion.held);
    if deletion.is_large || deletion.has_trash {
        content.trash.empty(&content.layout().trash());
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
        content: &Blobs,
        digests: &[Digest],
        start: usize,
        generation: u64,
    ) -> Result<usize, Error> {
        let (done, failure) = content.damage.names.database.write(|transaction, head| {
            if generation < head.names || generation > head.generation {
                return Err(Error::Conflict(format!(
                    "names changed since generation {generation}, it is {} now; \
                     find out again what is unused",
                    head.generation
                )));
            }
            let outcome = content
                .leases
                .exclude(|leased| Ok(self.remove_unleased(content, digests, leased)))?;
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
        content: &Blobs,
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
            match content.layout().remove_blob(digest, small, &mut self.held) {
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
            if let Err(error) = content.layout().sync(algorithm) {
                failure.get_or_insert(error);
            }
        }
        (done, failure)
    }
}

/// Drops what was known about removed blobs.
fn forget(transaction: &Transaction<'_>, removed: &[(Digest, u64)]) -> Result<(), Error> {
    for (digest, _) in removed {
        table::forget(transaction, digest)?;
        damage::forget(transaction, digest)?;
        source::forget(transaction, digest)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
