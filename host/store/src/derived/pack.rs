//! Little data of many blobs, kept together: one file of each kind.
//!
//! An entry is good as long as the file of its blob is the one it was made from. What the file of a pack lacks is only
//! derived again, so it is written a little later or when the store is closed, and two processes may overwrite each
//! other's.
//!
//! Disks change bytes without a word. So what was given out is read again a little later, once a process, and is damage
//! if it is not what its digest says.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use super::file::{MAX_KINDS, check_kind, note_use, path, read, write};
use super::sum::Sum;
use crate::damage::Damage;
use crate::layout::Stamp;
use crate::sync::lock;
use crate::{Digest, Error, regular, verify};

/// Name of the file of a pack in the folder of its kind.
const PACK: &str = "pack";
/// Largest data of one blob and kind, in bytes.
const MAX_DATA: usize = 64 << 10;
/// Bytes of memory of all packs: what is known of some forty thousand images.
const MOST: usize = 32 << 20;
/// What an entry takes besides its data.
const ENTRY: usize = 256;
/// Bytes given out at once, at most.
const MOST_RECALLED: usize = 16 << 20;
/// Largest blob that is read again, in bytes: no manifest or config is larger.
const MOST_READ: u64 = 16 << 20;
/// From the first entry that is new, or given out, until packs are written and blobs are read: more are on their way.
const AFTER: Duration = Duration::from_secs(2);

/// The packs this process has read or begun.
pub(crate) struct Packs {
    damage: Arc<Damage>,
    sum: Arc<Sum>,
    kinds: Mutex<HashMap<String, Pack>>,
    /// Whether they will be looked at.
    is_due: AtomicBool,
}

struct Pack {
    entries: HashMap<Digest, Entry>,
    /// Whether the file lacks some.
    is_unsaved: bool,
}

#[derive(Clone)]
struct Entry {
    stamp: Stamp,
    data: Vec<u8>,
    trust: Trust,
}

/// Whether this process has seen that the bytes of a blob are what they should be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Yes: the data was made from them, or they were read again.
    Seen,
    /// No.
    Unseen,
    /// No, and its data was given out.
    GivenOut,
}

impl Pack {
    fn weight(&self) -> usize {
        let weights = self.entries.values().map(|entry| ENTRY + entry.data.len());
        weights.sum()
    }

    /// Drops what is about files that are others, or gone.
    fn drop_outdated(&mut self, damage: &Damage) {
        let is_of_now =
            |digest: &Digest, entry: &mut Entry| damage.stamp(digest) == Some(entry.stamp);
        self.entries.retain(is_of_now);
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.weight());
        let mut put = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        for (digest, Entry { stamp, data, .. }) in &self.entries {
            put(digest.as_str().as_bytes());
            put(&stamp.to_bytes());
            put(data);
        }
        bytes
    }

    fn parse(mut bytes: &[u8]) -> Option<HashMap<Digest, Entry>> {
        let mut part = || -> Option<&[u8]> {
            let (length, rest) = bytes.split_first_chunk::<8>()?;
            let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
            let (part, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            Some(part)
        };
        let mut entries = HashMap::new();
        while let Some(digest) = part() {
            let digest = Digest::parse(std::str::from_utf8(digest).ok()?).ok()?;
            let stamp = Stamp::from_bytes(part()?)?;
            let data = part()?.to_vec();
            let trust = Trust::Unseen;
            entries.insert(digest, Entry { stamp, data, trust });
        }
        Some(entries)
    }
}

impl Packs {
    /// The packs of the blobs that `damage` knows, counted in `sum`.
    pub(super) fn new(damage: Arc<Damage>, sum: Arc<Sum>) -> Packs {
        Packs {
            damage,
            sum,
            kinds: Mutex::default(),
            is_due: AtomicBool::default(),
        }
    }

    /// What is kept about blobs that are what they were, in their order.
    pub(crate) fn recall(
        &self,
        subjects: &[Digest],
        kind: &str,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        check_kind(kind)?;
        let known: Vec<Option<(Stamp, Vec<u8>)>> = {
            let mut packs = lock(&self.kinds);
            let Some(pack) = self.opened(&mut packs, kind) else {
                return Ok(vec![None; subjects.len()]);
            };
            let mut left = MOST_RECALLED;
            let find = |digest| {
                let entry = pack.entries.get_mut(digest)?;
                left = left.checked_sub(entry.data.len())?;
                if entry.trust == Trust::Unseen {
                    entry.trust = Trust::GivenOut;
                }
                Some((entry.stamp, entry.data.clone()))
            };
            subjects.iter().map(find).collect()
        };
        self.damage.refresh();
        let known = subjects.iter().zip(known);
        let known = known.map(|(digest, known)| {
            let (stamp, data) = known?;
            (self.damage.stamp(digest) == Some(stamp)).then_some(data)
        });
        Ok(known.collect())
    }

    /// Keeps data, if that is possible.
    pub(crate) fn remember(&self, data: Vec<(Digest, Vec<u8>)>, kind: &str) -> Result<(), Error> {
        check_kind(kind)?;
        if let Some((subject, data)) = data.iter().find(|(_, data)| data.len() > MAX_DATA) {
            return Err(Error::TooMuch(format!(
                "{} bytes of {kind} of {subject} are more than the {MAX_DATA} kept together with others",
                data.len()
            )));
        }
        self.damage.refresh();
        let new = data.into_iter().filter_map(|(digest, data)| {
            let stamp = self.damage.stamp(&digest)?;
            let trust = Trust::Seen;
            Some((digest, Entry { stamp, data, trust }))
        });
        let new: Vec<(Digest, Entry)> = new.collect();
        let mut packs = lock(&self.kinds);
        let Some(pack) = self.opened(&mut packs, kind) else {
            return Ok(());
        };
        pack.is_unsaved |= !new.is_empty();
        pack.entries.extend(new);
        let weight =
            |packs: &HashMap<String, Pack>| packs.values().map(Pack::weight).sum::<usize>();
        if weight(&packs) > MOST {
            packs
                .values_mut()
                .for_each(|pack| pack.drop_outdated(&self.damage));
        }
        if weight(&packs) > MOST {
            // What is listed next fills them again.
            for pack in packs.values_mut() {
                pack.entries.clear();
                pack.is_unsaved = true;
            }
        }
        Ok(())
    }

    /// Has blobs read again, and what the files lack written, soon and on this runtime.
    pub(crate) fn look_soon(self: &Arc<Self>) {
        let is_waited_for = |pack: &Pack| {
            let mut entries = pack.entries.values();
            pack.is_unsaved || entries.any(|entry| entry.trust == Trust::GivenOut)
        };
        if !lock(&self.kinds).values().any(is_waited_for)
            || self.is_due.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let packs = Arc::downgrade(self);
        tokio::spawn(async move {
            tokio::time::sleep(AFTER).await;
            // Closing the store writes them, too.
            let Some(opened) = packs.upgrade() else {
                return;
            };
            opened.is_due.store(false, Ordering::Release);
            drop(opened);
            let _ = tokio::task::spawn_blocking(move || {
                Packs::read_again(&packs);
                if let Some(packs) = packs.upgrade() {
                    packs.save();
                }
            })
            .await;
        });
    }

    /// Reads the blobs whose data was given out, as long as the store is open.
    fn read_again(packs: &Weak<Packs>) {
        let Some(opened) = packs.upgrade() else {
            return;
        };
        let mut unread = Vec::new();
        for pack in lock(&opened.kinds).values_mut() {
            for (digest, entry) in &mut pack.entries {
                if entry.trust == Trust::GivenOut {
                    entry.trust = Trust::Seen;
                    unread.push((digest.clone(), entry.stamp));
                }
            }
        }
        drop(opened);
        for (digest, stamp) in unread {
            let Some(packs) = packs.upgrade() else {
                return;
            };
            if stamp.size <= MOST_READ && packs.damage.stamp(&digest) == Some(stamp) {
                // Marks it if its bytes are others.
                let _ = verify::examine(&packs.damage, &digest, &|| true);
            }
        }
    }

    /// Writes what the files lack.
    pub(crate) fn save(&self) {
        let layout = self.damage.layout();
        if !layout.is_writable() {
            return;
        }
        self.damage.refresh();
        let mut unsaved = Vec::new();
        for (kind, pack) in lock(&self.kinds).iter_mut() {
            if std::mem::take(&mut pack.is_unsaved) {
                pack.drop_outdated(&self.damage);
                unsaved.push((kind.clone(), pack.encode()));
            }
        }
        for (kind, encoded) in unsaved {
            match write(layout, PACK, PACK, &kind, &encoded) {
                Ok(size) => self.sum.add(layout, size),
                Err(error) => tracing::debug!(kind, %error, "derived data is not kept"),
            }
        }
    }

    /// Drops what is kept of deleted blobs. Files of packs that were not read have it until they are written.
    pub(crate) fn forget(&self, gone: &[(Digest, u64)]) {
        for pack in lock(&self.kinds).values_mut() {
            for (digest, _) in gone {
                pack.is_unsaved |= pack.entries.remove(digest).is_some();
            }
        }
    }

    /// The pack of a kind, read if it was not; `None` if there are as many as may be.
    fn opened<'p>(&self, packs: &'p mut HashMap<String, Pack>, kind: &str) -> Option<&'p mut Pack> {
        if packs.len() >= MAX_KINDS && !packs.contains_key(kind) {
            return None;
        }
        let layout = self.damage.layout();
        Some(packs.entry(kind.to_owned()).or_insert_with(|| {
            let file = regular::open(&path(layout, PACK, kind));
            let bytes = file.ok().and_then(|(mut file, metadata)| {
                if layout.is_writable() {
                    note_use(&file, &metadata);
                }
                read(&mut file, &metadata, PACK, kind)
            });
            let bytes = bytes.filter(|bytes| bytes.len() <= MOST);
            let entries = bytes.and_then(|bytes| Pack::parse(&bytes));
            Pack {
                entries: entries.unwrap_or_default(),
                is_unsaved: false,
            }
        }))
    }
}
