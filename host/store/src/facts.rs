//! Facts about layers: what they are uncompressed. Learned once, kept in the database.
//!
//! On demand they are computed at once; promised diff-ids are checked by a background thread of low
//! priority while nothing is being written.

mod compute;
mod demand;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction};

use crate::name::heal;
use crate::open::Inner;
pub(crate) use demand::{known, on_demand};

use crate::sync::lock;
use crate::{Algorithm, Digest, Error, damage, database};

/// Layers decompressed at once on demand: more would only share the processors.
const PARALLEL: usize = 4;
/// How long those who wait for facts wait for the memory of a decoder.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause before trying again after a failure, or while another process does the checks.
const RETRY: Duration = Duration::from_secs(10);
/// Niceness of the background thread: only what nobody else wants of the processors.
const NICE: i32 = 19;

/// What is learned once about a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerFacts {
    /// SHA-256 digest of the uncompressed layer.
    pub diff_id: Digest,
    /// Bytes of the uncompressed layer.
    pub size: u64,
}

/// The background checks, and what is being computed on demand.
pub(crate) struct Facts {
    state: Mutex<State>,
    changed: Condvar,
    computing: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    permits: Arc<tokio::sync::Semaphore>,
}

struct State {
    kicked: bool,
    stop: bool,
}

impl Default for Facts {
    fn default() -> Facts {
        Facts {
            // What an earlier run left in the queue.
            state: Mutex::new(State {
                kicked: true,
                stop: false,
            }),
            changed: Condvar::new(),
            computing: Mutex::default(),
            permits: Arc::new(tokio::sync::Semaphore::new(PARALLEL)),
        }
    }
}

impl Facts {
    /// There may be something to do, or time to do it.
    pub(crate) fn wake(&self) {
        lock(&self.state).kicked = true;
        self.changed.notify_all();
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_all();
    }

    fn stopped(&self) -> bool {
        lock(&self.state).stop
    }

    /// Waits for a kick, or `timeout`. False if it is time to stop.
    fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut state = lock(&self.state);
        while !state.kicked && !state.stop {
            state = match timeout {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => {
                    let (next, timed_out) = self
                        .changed
                        .wait_timeout(state, timeout)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timed_out.timed_out() {
                        return !next.stop;
                    }
                    next
                }
            };
        }
        state.kicked = false;
        !state.stop
    }

    /// Waits until nothing is written. False if it is time to stop.
    fn wait_idle(&self, inner: &Inner) -> bool {
        while !inner.ingests.idle() {
            if !self.wait(None) {
                return false;
            }
        }
        !self.stopped()
    }
}

/// Queues checks; those whose facts are known are made at once.
pub(crate) fn expect(inner: &Inner, layers: &[(Digest, Digest)]) -> Result<(), Error> {
    heal::write(inner, |transaction, _| {
        for (digest, diff_id) in layers {
            if diff_id.algorithm() != Algorithm::Sha256 {
                tracing::debug!(%digest, %diff_id, "not checked: only SHA-256 diff-ids are");
                continue;
            }
            transaction
                .prepare_cached("INSERT OR IGNORE INTO checks VALUES (?, ?, 'pending')")?
                .execute([digest.as_str(), diff_id.as_str()])?;
            if let Some(facts) = stored(transaction, digest)? {
                keep(transaction, digest, &facts)?;
            }
        }
        Ok(())
    })?;
    inner.facts.wake();
    Ok(())
}

/// Stores facts and settles the checks waiting for them.
fn keep(transaction: &Transaction<'_>, digest: &Digest, facts: &LayerFacts) -> Result<(), Error> {
    transaction
        .prepare_cached("INSERT OR REPLACE INTO facts VALUES (?, ?, ?)")?
        .execute((
            digest.as_str(),
            facts.diff_id.as_str(),
            facts.size.cast_signed(),
        ))?;
    transaction
        .prepare_cached("INSERT OR REPLACE INTO facts_sums VALUES (?, ?)")?
        .execute((digest.as_str(), checksum(digest, facts)))?;
    let mut settle = transaction.prepare_cached(
        "UPDATE checks SET state = CASE diff_id WHEN ?2 THEN 'right' ELSE 'wrong' END
         WHERE digest = ?1 AND state = 'pending' RETURNING diff_id, state",
    )?;
    let mut rows = settle.query([digest.as_str(), facts.diff_id.as_str()])?;
    while let Some(row) = rows.next()? {
        let (expected, state) = (database::text(row, 0)?, database::text(row, 1)?);
        if state == "wrong" {
            tracing::warn!(
                layer = %digest, expected, actual = %facts.diff_id,
                "a layer is not what its image's config promises; do not run the image"
            );
        }
    }
    Ok(())
}

/// What tells whether what is known of a layer has changed: the beginning of a SHA-256 digest.
fn checksum(digest: &Digest, facts: &LayerFacts) -> i64 {
    use sha2::Digest as _;
    let text = format!("{digest} {} {}", facts.diff_id, facts.size);
    let digest = sha2::Sha256::digest(text);
    i64::from_le_bytes(digest.first_chunk::<8>().copied().unwrap_or_default())
}

/// What was found; nothing if it is not what was written then.
fn stored(connection: &Connection, digest: &Digest) -> Result<Option<LayerFacts>, Error> {
    let found = connection
        .prepare_cached("SELECT diff_id, size FROM facts WHERE digest = ?")?
        .query_row([digest.as_str()], |row| {
            let size = row.get_ref(1)?.as_i64().ok();
            Ok((database::text(row, 0)?, size))
        })
        .optional()?;
    let Some((diff_id, size)) = found else {
        return Ok(None);
    };
    if let (Ok(diff_id), Some(size @ 0..)) = (Digest::parse(&diff_id), size) {
        let size = size.cast_unsigned();
        let facts = LayerFacts { diff_id, size };
        if sum(connection, digest)?.is_none_or(|sum| sum == checksum(digest, &facts)) {
            return Ok(Some(facts));
        }
    }
    tracing::warn!(layer = %digest, "what is known of a layer was damaged, and is found out again");
    Ok(None)
}

/// The checksum of what is known of a layer; what an older program found has none.
fn sum(connection: &Connection, digest: &Digest) -> Result<Option<i64>, Error> {
    let exists: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'facts_sums'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Ok(None);
    }
    Ok(connection
        .prepare_cached("SELECT checksum FROM facts_sums WHERE digest = ?")?
        .query_row([digest.as_str()], |row| Ok(row.get_ref(0)?.as_i64().ok()))
        .optional()?
        .flatten())
}

fn look_up(connection: &Connection, digest: &Digest) -> Result<Option<LayerFacts>, Error> {
    let Some(facts) = stored(connection, digest)? else {
        return Ok(None);
    };
    // A layer that one config describes rightly is not at fault when another one lies about it:
    // otherwise any image could spoil the layers it shares.
    let wrong = connection
        .prepare_cached(
            "SELECT diff_id FROM checks WHERE digest = ?1 AND state = 'wrong' AND NOT EXISTS
                 (SELECT 1 FROM checks WHERE digest = ?1 AND state = 'right') LIMIT 1",
        )?
        .query_row([digest.as_str()], |row| database::text(row, 0))
        .optional()?;
    // A promise that cannot be read is none.
    match wrong.and_then(|expected| Digest::parse(&expected).ok()) {
        Some(expected) => Err(Error::DigestMismatch {
            expected,
            actual: facts.diff_id,
        }),
        None => Ok(Some(facts)),
    }
}

/// The background thread.
pub(crate) fn run(inner: &Inner) {
    // On Linux a thread has its own niceness. Without it the checks are only less polite.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE) {
        tracing::debug!(%error, "the checking thread keeps its priority");
    }
    let mut timeout = None;
    while inner.facts.wait(timeout) {
        timeout = match check_pending(inner) {
            Ok(done) => (!done).then_some(RETRY),
            Err(error) => {
                tracing::warn!(%error, "checking layers failed; trying again");
                Some(RETRY)
            }
        };
    }
}

/// Works off the queue. False if another process is doing so.
fn check_pending(inner: &Inner) -> Result<bool, Error> {
    let (mut locked, mut damaged) = (None, None);
    loop {
        if !inner.facts.wait_idle(inner) {
            return Ok(true);
        }
        let Some(digest) = next_pending(inner)? else {
            return Ok(true);
        };
        if locked.is_none() {
            match inner.layout.place().try_lock("facts.lock")? {
                Some(file) => locked = Some(file),
                None => return Ok(false),
            }
        }
        match compute::compute(inner, &digest, None, &mut || inner.facts.wait_idle(inner)) {
            Ok(Some(facts)) => {
                heal::write(inner, |transaction, _| keep(transaction, &digest, &facts))?;
            }
            Ok(None) => return Ok(true),
            // Its turn comes when it is replaced. Where its mark is not kept, that is later.
            Err(Error::Damaged { .. }) if damaged.as_ref() != Some(&digest) => {
                damaged = Some(digest);
            }
            Err(Error::Damaged { .. }) => return Ok(false),
            Err(error @ (Error::NotFound(_) | Error::Invalid(_))) => {
                if !matches!(error, Error::NotFound(_)) {
                    tracing::error!(layer = %digest, %error, "a layer cannot be checked");
                }
                heal::write(inner, |transaction, _| {
                    transaction.execute(
                        "DELETE FROM checks WHERE digest = ? AND state = 'pending'",
                        [digest.as_str()],
                    )?;
                    Ok(())
                })?;
            }
            Err(error) => return Err(error),
        }
    }
}

/// The next layer to check that is not damaged. The rows of marks do not say that alone: one may be written after
/// the file it is about was replaced.
fn next_pending(inner: &Inner) -> Result<Option<Digest>, Error> {
    let damaged = damage::all(inner)?;
    let damaged: HashSet<&str> = damaged.iter().map(|(digest, _)| digest.as_str()).collect();
    heal::read(inner, |connection, _| {
        let mut query =
            connection.prepare_cached("SELECT digest FROM checks WHERE state = 'pending'")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            // One that cannot be read is nobody's.
            if let Ok(digest) = Digest::parse(&database::text(row, 0)?)
                && !damaged.contains(digest.as_str())
            {
                return Ok(Some(digest));
            }
        }
        Ok(None)
    })
}
