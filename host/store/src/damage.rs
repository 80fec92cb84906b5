//! Blobs known to be bad: their bytes are not those of their digest, or cannot be had.
//!
//! A mark is about one file, told by its inode, its size and the time it was last written: whoever replaces
//! the file, another tool included, lifts the mark with it. So publishing over a damaged blob and
//! lifting its mark need not happen at once.
//!
//! What cannot even be found or opened is damaged for as long as that is so, whatever is marked. Its mark
//! only tells others, and that it was said.

use std::collections::{HashMap, HashSet};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{Connection, OptionalExtension as _};

use crate::layout::{Broken, Place, Unopened};
use crate::name::heal;
use crate::open::Inner;
use crate::sync::lock;
use crate::{Digest, Error, database};

/// Longest reason kept, in bytes: a sentence.
const MAX_REASON: usize = 1024;

/// Which file a mark is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Size in bytes.
    pub(crate) size: u64,
    /// When its bytes were last changed, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// Its inode: clocks of file systems are coarse.
    pub(crate) inode: u64,
}

impl Stamp {
    pub(crate) fn new(size: u64, seconds: i64, nanoseconds: i64, inode: u64) -> Stamp {
        Stamp {
            size,
            modified: seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(nanoseconds),
            inode,
        }
    }

    /// Of what cannot be read, so has no bytes that could be right or wrong. As soon as it can be read it
    /// has another stamp.
    pub(crate) fn unreadable(inode: u64) -> Stamp {
        Stamp {
            size: u64::MAX,
            modified: 0,
            inode,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.modified.to_le_bytes());
        bytes[16..].copy_from_slice(&self.inode.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Stamp> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (modified, rest) = rest.split_first_chunk()?;
        Some(Stamp {
            size: u64::from_le_bytes(*size),
            modified: i64::from_le_bytes(*modified),
            inode: u64::from_le_bytes(rest.try_into().ok()?),
        })
    }

    pub(crate) fn of(metadata: &Metadata) -> Stamp {
        Stamp::new(
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ino(),
        )
    }
}

#[derive(Clone)]
struct Mark {
    stamp: Stamp,
    reason: String,
}

/// Missing blobs that are logged, each once: more are no news.
const MISSES: usize = 10_000;

/// The marks, as last read: asking about a blob costs no SQL.
#[derive(Default)]
pub(crate) struct Damage {
    /// Whether there is any mark at all, so that a store without damage pays nothing.
    any: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The generation `stored` was read at; marks and their lifting count as one.
    at: Option<u64>,
    stored: HashMap<Digest, Mark>,
    /// Marks that could not be written: of a read-only store, or on a full disk.
    own: HashMap<Digest, Mark>,
    /// Missing blobs that were logged, up to [`MISSES`].
    missed: HashSet<Digest>,
}

impl State {
    fn find(&self, digest: &Digest, stamp: Stamp) -> Option<&Mark> {
        [&self.own, &self.stored]
            .into_iter()
            .filter_map(|marks| marks.get(digest))
            .find(|mark| mark.stamp == stamp)
    }
}

/// Size of a blob in bytes, `None` if it is not here or damaged. One that cannot be read is marked.
pub(crate) fn present(inner: &Inner, digest: &Digest) -> Result<Option<u64>, Error> {
    let mut news = Vec::new();
    let sizes = present_all(inner, std::slice::from_ref(digest), &mut news)?;
    mark_all(inner, news);
    Ok(sizes.into_iter().next().flatten())
}

/// [`present`] for many. Those that cannot be read and are not marked yet are pushed to `news`: marking
/// may wait for the disk.
pub(crate) fn present_all(
    inner: &Inner,
    digests: &[Digest],
    news: &mut Vec<(Digest, Broken)>,
) -> Result<Vec<Option<u64>>, Error> {
    refresh(inner);
    let mut sizes = Vec::with_capacity(digests.len());
    for digest in digests {
        sizes.push(match inner.layout.look(digest)? {
            Place::Absent => None,
            Place::File(stamp) => (!is_marked(inner, digest, stamp)).then_some(stamp.size),
            Place::Broken(broken) => {
                if !is_marked(inner, digest, broken.stamp) {
                    news.push((digest.clone(), broken));
                }
                None
            }
        });
    }
    Ok(sizes)
}

/// Every blob with its size in bytes, in no order. One that cannot be read has none, and is marked.
pub(crate) fn blobs(inner: &Inner) -> Result<Vec<(Digest, u64)>, Error> {
    let places = inner.layout.blobs()?;
    let mut blobs = Vec::with_capacity(places.len());
    let mut news = Vec::new();
    for (digest, place) in places {
        let size = match place {
            Place::Absent => continue,
            Place::File(stamp) => stamp.size,
            Place::Broken(broken) => {
                news.push((digest.clone(), broken));
                0
            }
        };
        blobs.push((digest, size));
    }
    mark_all(inner, news);
    Ok(blobs)
}

/// The file of a blob that is here and not known to be damaged. Somebody has just called [`refresh`].
pub(crate) fn stamp(inner: &Inner, digest: &Digest) -> Option<Stamp> {
    match inner.layout.look(digest) {
        Ok(Place::File(stamp)) if !is_marked(inner, digest, stamp) => Some(stamp),
        _ => None,
    }
}

fn is_marked(inner: &Inner, digest: &Digest, stamp: Stamp) -> bool {
    inner.damage.any.load(Ordering::Acquire)
        && lock(&inner.damage.state).find(digest, stamp).is_some()
}

/// Fails if the file of `stamp` is known to be damaged.
pub(crate) fn check(inner: &Inner, digest: &Digest, stamp: Stamp) -> Result<(), Error> {
    refresh(inner);
    if !inner.damage.any.load(Ordering::Acquire) {
        return Ok(());
    }
    match lock(&inner.damage.state).find(digest, stamp) {
        Some(mark) => Err(Error::Damaged {
            digest: digest.clone(),
            reason: mark.reason.clone(),
        }),
        None => Ok(()),
    }
}

/// Every damaged blob that is still here, in digest order.
pub(crate) fn all(inner: &Inner) -> Result<Vec<(Digest, String)>, Error> {
    refresh(inner);
    let marks = {
        let state = lock(&inner.damage.state);
        let mut marks = state.stored.clone();
        marks.extend(state.own.clone());
        marks
    };
    let mut damaged = Vec::new();
    for (digest, mark) in marks {
        if inner.layout.stamp(&digest)? == Some(mark.stamp) {
            damaged.push((digest, mark.reason));
        }
    }
    damaged.sort();
    Ok(damaged)
}

/// Marks a blob that could not be opened if that is why, and says why it was not.
pub(crate) fn settle(inner: &Inner, digest: &Digest, unopened: Unopened) -> Error {
    if let Unopened::Broken(Broken { stamp, reason }) = &unopened {
        mark(inner, digest, *stamp, reason);
    }
    unopened.error(digest)
}

/// Marks the file of `stamp` as damaged. Logs it if that is news. A mark that cannot be written
/// holds in this process.
pub(crate) fn mark(inner: &Inner, digest: &Digest, stamp: Stamp, reason: &str) {
    let reason = reason.to_owned();
    mark_all(inner, vec![(digest.clone(), Broken { stamp, reason })]);
}

/// Logs that a blob is missing, if that is news.
pub(crate) fn miss(inner: &Inner, digest: &Digest) {
    let mut state = lock(&inner.damage.state);
    if state.missed.len() < MISSES && state.missed.insert(digest.clone()) {
        tracing::warn!(
            %digest,
            "a blob is missing; `strata check` says what of, and a pull or load of that image brings it back"
        );
    }
}

/// [`mark`] for many: however many there are, they wait for the disk once.
pub(crate) fn mark_all(inner: &Inner, broken: Vec<(Digest, Broken)>) {
    refresh(inner);
    let mut news = Vec::new();
    {
        let mut state = lock(&inner.damage.state);
        for (digest, Broken { stamp, reason }) in broken {
            if state.find(&digest, stamp).is_some() {
                continue;
            }
            let reason = sentence(&reason);
            let mark = Mark { stamp, reason };
            state.own.insert(digest.clone(), mark.clone());
            inner.damage.any.store(true, Ordering::Release);
            news.push((digest, mark));
        }
    }
    for (digest, Mark { reason, .. }) in &news {
        tracing::warn!(
            %digest, reason,
            "a blob is damaged; `strata check` says what of, and a pull or load of that image replaces it"
        );
    }
    if !inner.writable || news.is_empty() {
        return;
    }
    let written = heal::write(inner, |transaction, _| {
        let mut insert =
            transaction.prepare_cached("INSERT OR REPLACE INTO damage VALUES (?, ?, ?, ?, ?)")?;
        for (digest, Mark { stamp, reason }) in &news {
            insert.execute((
                digest.as_str(),
                stamp.size.cast_signed(),
                stamp.modified,
                stamp.inode.cast_signed(),
                reason,
            ))?;
        }
        database::advance(transaction, false)
    });
    match written {
        Ok(_) => {
            refresh(inner);
            let mut state = lock(&inner.damage.state);
            for (digest, _) in &news {
                state.own.remove(digest);
            }
        }
        Err(error) => tracing::debug!(%error, "the marks of damaged blobs are not kept"),
    }
}

/// A reason as it is kept.
fn sentence(reason: &str) -> String {
    reason
        .char_indices()
        .take_while(|(at, _)| *at < MAX_REASON)
        .map(|(_, character)| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}

/// Drops the mark of a blob that is good, or gone.
pub(crate) fn lift(inner: &Inner, digest: &Digest) {
    refresh(inner);
    if !inner.damage.any.load(Ordering::Acquire) {
        return;
    }
    let is_stored = {
        let mut state = lock(&inner.damage.state);
        state.own.remove(digest);
        state.stored.contains_key(digest)
    };
    if !is_stored || !inner.writable {
        return;
    }
    let lifted = heal::write(inner, |transaction, _| {
        forget(transaction, digest)?;
        database::advance(transaction, false)
    });
    match lifted {
        Ok(_) => {
            refresh(inner);
            // What it is uncompressed may be waited for.
            inner.facts.wake();
        }
        // Its file is another one now, or verified once more next time.
        Err(error) => tracing::debug!(%digest, %error, "the mark of a repaired blob stays"),
    }
}

/// [`lift`], if the file of `stamp` is marked as far as is known. Costs nothing in a store without
/// damage.
pub(crate) fn lift_if_marked(inner: &Inner, digest: &Digest, stamp: Stamp) {
    if is_marked(inner, digest, stamp) {
        lift(inner, digest);
    }
}

/// Drops a mark within a change of the database.
pub(crate) fn forget(connection: &Connection, digest: &Digest) -> Result<(), Error> {
    connection
        .prepare_cached("DELETE FROM damage WHERE digest = ?")?
        .execute([digest.as_str()])?;
    Ok(())
}

/// Reads the marks again if the store has changed. Without an answer from the database what was
/// known holds.
pub(crate) fn refresh(inner: &Inner) {
    let result = inner.database.head().and_then(|head| {
        if lock(&inner.damage.state).at == Some(head.generation) {
            return Ok(());
        }
        let (generation, stored) = heal::read(inner, |connection, head| {
            Ok((head.generation, load(connection)?))
        })?;
        let mut state = lock(&inner.damage.state);
        let any = !stored.is_empty() || !state.own.is_empty();
        state.at = Some(generation);
        state.stored = stored;
        inner.damage.any.store(any, Ordering::Release);
        Ok(())
    });
    if let Err(error) = result {
        tracing::debug!(%error, "damaged blobs cannot be looked up");
    }
}

fn load(connection: &Connection) -> Result<HashMap<Digest, Mark>, Error> {
    // A store that an older version wrote and that cannot be written has no such table.
    let exists: Option<i64> = connection
        .prepare_cached("SELECT 1 FROM sqlite_master WHERE name = 'damage'")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if exists.is_none() {
        return Ok(HashMap::new());
    }
    let mut query =
        connection.prepare_cached("SELECT digest, size, modified, inode, reason FROM damage")?;
    let mut rows = query.query([])?;
    let mut marks = HashMap::new();
    while let Some(row) = rows.next()? {
        match mark_of(row) {
            Some((digest, mark)) => drop(marks.insert(digest, mark)),
            None => tracing::debug!("a mark of a damaged blob cannot be read"),
        }
    }
    Ok(marks)
}

/// A mark as it is stored. What cannot be read marks nothing: whoever reads the blob marks it again.
fn mark_of(row: &rusqlite::Row<'_>) -> Option<(Digest, Mark)> {
    let digest: String = row.get(0).ok()?;
    let stamp = Stamp {
        size: row.get::<_, i64>(1).ok()?.cast_unsigned(),
        modified: row.get(2).ok()?,
        inode: row.get::<_, i64>(3).ok()?.cast_unsigned(),
    };
    let reason: String = row.get(4).ok()?;
    let reason = sentence(&reason);
    Some((Digest::parse(&digest).ok()?, Mark { stamp, reason }))
}
