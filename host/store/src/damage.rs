//! Blobs known to be bad: their bytes are not those of their digest, or cannot be had.
//!
//! A mark is about one file, told by its inode, its size and the time it was last written: whoever replaces
//! the file, another tool included, lifts the mark with it. So publishing over a damaged blob and
//! lifting its mark need not happen at once.
//!
//! What cannot even be found or opened is damaged for as long as that is so, whatever is marked. Its mark
//! only tells others, and that it was said.

mod mark;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::activity::Activity;
use crate::layout::{Broken, Layout, Place, Stamp, Unopened};
use crate::name::table::NameTable;
use crate::sync::lock;
use crate::{Digest, Error, database};
use mark::Mark;

pub(crate) use mark::forget;

/// Missing blobs that are logged, each once: more are no news.
const MISSES: usize = 10_000;

/// The blobs of a store, as far as they are not bad; and the marks of those that are, as last read: asking
/// about a blob costs no SQL.
pub(crate) struct Damage {
    pub(crate) names: Arc<NameTable>,
    activity: Arc<Activity>,
    /// Whether there is any mark at all, so that a store without damage pays nothing.
    any: AtomicBool,
    marks: Mutex<Marks>,
}

#[derive(Default)]
struct Marks {
    /// The generation `stored` was read at; marks and their lifting count as one.
    at: Option<u64>,
    stored: HashMap<Digest, Mark>,
    /// Marks that could not be written: of a read-only store, or on a full disk.
    own: HashMap<Digest, Mark>,
    /// Missing blobs that were logged, up to [`MISSES`].
    missed: HashSet<Digest>,
}

impl Marks {
    fn find(&self, digest: &Digest, stamp: Stamp) -> Option<&Mark> {
        [&self.own, &self.stored]
            .into_iter()
            .filter_map(|marks| marks.get(digest))
            .find(|mark| mark.stamp == stamp)
    }
}

impl Damage {
    /// The marks in the database of `names`. Where one is lifted, a check may go on that waits in `activity`.
    pub(crate) fn new(names: Arc<NameTable>, activity: Arc<Activity>) -> Damage {
        Damage {
            names,
            activity,
            any: AtomicBool::default(),
            marks: Mutex::default(),
        }
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.names.layout
    }

    /// Size of a blob in bytes, `None` if it is not here or damaged. One that cannot be read is marked.
    pub(crate) fn present(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let mut news = Vec::new();
        let sizes = self.present_all(std::slice::from_ref(digest), &mut news)?;
        self.mark_all(news);
        Ok(sizes.into_iter().next().flatten())
    }

    /// [`present`] for many. Those that cannot be read and are not marked yet are pushed to `news`: marking
    /// may wait for the disk.
    pub(crate) fn present_all(
        &self,
        digests: &[Digest],
        news: &mut Vec<(Digest, Broken)>,
    ) -> Result<Vec<Option<u64>>, Error> {
        self.refresh();
        let mut sizes = Vec::with_capacity(digests.len());
        for digest in digests {
            sizes.push(match self.layout().look(digest)? {
                Place::Absent => None,
                Place::File(stamp) => (!self.is_marked(digest, stamp)).then_some(stamp.size),
                Place::Broken(broken) => {
                    if !self.is_marked(digest, broken.stamp) {
                        news.push((digest.clone(), broken));
                    }
                    None
                }
            });
        }
        Ok(sizes)
    }

    /// Every blob with its size in bytes, in no order. One that cannot be read has none, and is marked.
    pub(crate) fn blobs(&self) -> Result<Vec<(Digest, u64)>, Error> {
        let places = self.layout().blobs()?;
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
        self.mark_all(news);
        Ok(blobs)
    }

    /// The file of a blob that is here and not known to be damaged. Somebody has just called [`refresh`].
    pub(crate) fn stamp(&self, digest: &Digest) -> Option<Stamp> {
        match self.layout().look(digest) {
            Ok(Place::File(stamp)) if !self.is_marked(digest, stamp) => Some(stamp),
            _ => None,
        }
    }

    fn is_marked(&self, digest: &Digest, stamp: Stamp) -> bool {
        self.any.load(Ordering::Acquire) && lock(&self.marks).find(digest, stamp).is_some()
    }

    /// Fails if the file of `stamp` is known to be damaged.
    pub(crate) fn check(&self, digest: &Digest, stamp: Stamp) -> Result<(), Error> {
        self.refresh();
        if !self.any.load(Ordering::Acquire) {
            return Ok(());
        }
        match lock(&self.marks).find(digest, stamp) {
            Some(mark) => Err(Error::Damaged {
                digest: digest.clone(),
                reason: mark.reason.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Every damaged blob that is still here, in digest order.
    pub(crate) fn all(&self) -> Result<Vec<(Digest, String)>, Error> {
        self.refresh();
        let marks = {
            let state = lock(&self.marks);
            let mut marks = state.stored.clone();
            marks.extend(state.own.clone());
            marks
        };
        let mut damaged = Vec::new();
        for (digest, mark) in marks {
            if self.layout().stamp(&digest)? == Some(mark.stamp) {
                damaged.push((digest, mark.reason));
            }
        }
        damaged.sort();
        Ok(damaged)
    }

    /// Marks a blob that could not be opened if that is why, and says why it was not.
    pub(crate) fn settle(&self, digest: &Digest, unopened: Unopened) -> Error {
        if let Unopened::Broken(Broken { stamp, reason }) = &unopened {
            self.mark(digest, *stamp, reason);
        }
        unopened.error(digest)
    }

    /// Marks the file of `stamp` as damaged. Logs it if that is news. A mark that cannot be written
    /// holds in this process.
    pub(crate) fn mark(&self, digest: &Digest, stamp: Stamp, reason: &str) {
        let reason = reason.to_owned();
        self.mark_all(vec![(digest.clone(), Broken { stamp, reason })]);
    }

    /// Logs that a blob is missing, if that is news.
    pub(crate) fn miss(&self, digest: &Digest) {
        let mut state = lock(&self.marks);
        if state.missed.len() < MISSES && state.missed.insert(digest.clone()) {
            tracing::warn!(
                %digest,
                "a blob is missing; `strata check` says what of, and a pull or load of that image brings it back"
            );
        }
    }

    /// [`mark`] for many: however many there are, they wait for the disk once.
    pub(crate) fn mark_all(&self, broken: Vec<(Digest, Broken)>) {
        self.refresh();
        let mut news = Vec::new();
        {
            let mut state = lock(&self.marks);
            for (digest, Broken { stamp, reason }) in broken {
                if state.find(&digest, stamp).is_some() {
                    continue;
                }
                let mark = Mark::new(stamp, &reason);
                state.own.insert(digest.clone(), mark.clone());
                self.any.store(true, Ordering::Release);
                news.push((digest, mark));
            }
        }
        for (digest, Mark { reason, .. }) in &news {
            tracing::warn!(
                %digest, reason,
                "a blob is damaged; `strata check` says what of, and a pull or load of that image replaces it"
            );
        }
        if !self.layout().is_writable() || news.is_empty() {
            return;
        }
        let written = self.names.write(|transaction, _| {
            mark::store(transaction, news.iter())?;
            database::advance(transaction, false)
        });
        match written {
            Ok(_) => {
                self.refresh();
                let mut state = lock(&self.marks);
                for (digest, _) in &news {
                    state.own.remove(digest);
                }
            }
            Err(error) => tracing::debug!(%error, "the marks of damaged blobs are not kept"),
        }
    }

    /// Drops the mark of a blob that is good, or gone.
    pub(crate) fn lift(&self, digest: &Digest) {
        self.refresh();
        if !self.any.load(Ordering::Acquire) {
            return;
        }
        let is_stored = {
            let mut state = lock(&self.marks);
            state.own.remove(digest);
            state.stored.contains_key(digest)
        };
        if !is_stored || !self.layout().is_writable() {
            return;
        }
        let lifted = self.names.write(|transaction, _| {
            mark::forget(transaction, digest)?;
            database::advance(transaction, false)
        });
        match lifted {
            Ok(_) => {
                self.refresh();
                // What it is uncompressed may be waited for.
                self.activity.wake();
            }
            // Its file is another one now, or verified once more next time.
            Err(error) => tracing::debug!(%digest, %error, "the mark of a repaired blob stays"),
        }
    }

    /// [`lift`], if the file of `stamp` is marked as far as is known. Costs nothing in a store without
    /// damage.
    pub(crate) fn lift_if_marked(&self, digest: &Digest, stamp: Stamp) {
        if self.is_marked(digest, stamp) {
            self.lift(digest);
        }
    }

    /// Reads the marks again if the store has changed. Without an answer from the database what was
    /// known holds.
    pub(crate) fn refresh(&self) {
        let result = self.names.database.head().and_then(|head| {
            if lock(&self.marks).at == Some(head.generation) {
                return Ok(());
            }
            let (generation, stored) = self
                .names
                .read(|connection, head| Ok((head.generation, mark::load(connection)?)))?;
            let mut state = lock(&self.marks);
            let any = !stored.is_empty() || !state.own.is_empty();
            state.at = Some(generation);
            state.stored = stored;
            self.any.store(any, Ordering::Release);
            Ok(())
        });
        if let Err(error) = result {
            tracing::debug!(%error, "damaged blobs cannot be looked up");
        }
    }

    /// Marks a blob whose bytes have the digest `actual`, and says why.
    pub(crate) fn mismatched(&self, digest: &Digest, stamp: Stamp, actual: &Digest) -> String {
        let reason = format!("its {} bytes have the digest {actual}", stamp.size);
        self.mark(digest, stamp, &reason);
        reason
    }
}
