//! Little data of many blobs, kept together: one file of each kind.
//!
//! An entry is good as long as the file of its blob is the one it was made from. What the file of a pack lacks is only
//! derived again, so it is written a little later or when the store is closed, and two processes may overwrite each
//! other's.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{PACK, bound, check_kind, note_use, path, read, write};
use crate::damage::{self, Stamp};
use crate::open::Inner;
use crate::sync::lock;
use crate::{Digest, Error, regular};

/// Largest data of one blob and kind, in bytes.
const MAX_DATA: usize = 64 << 10;
/// Bytes of memory of all packs: what is known of some forty thousand images.
const MOST: usize = 32 << 20;
/// What an entry takes besides its data.
const ENTRY: usize = 256;
/// From the first new entry to the writing of the packs: more are on their way.
const SAVED_AFTER: Duration = Duration::from_secs(2);

/// The packs this process has read or begun.
#[derive(Default)]
pub(crate) struct Packs {
    kinds: Mutex<HashMap<String, Pack>>,
    /// Whether they will be written.
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
}

impl Pack {
    fn weight(&self) -> usize {
        let weights = self.entries.values().map(|entry| ENTRY + entry.data.len());
        weights.sum()
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.weight());
        let mut put = |part: &[u8]| {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        };
        for (digest, Entry { stamp, data }) in &self.entries {
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
            entries.insert(digest, Entry { stamp, data });
        }
        Some(entries)
    }
}

/// What is kept about blobs that are what they were, in their order.
pub(crate) fn recall(
    inner: &Inner,
    subjects: &[Digest],
    kind: &str,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    check_kind(kind)?;
    let known: Vec<Option<Entry>> = {
        let mut packs = lock(&inner.derived.packs.kinds);
        let pack = opened(inner, &mut packs, kind);
        let find = |digest| pack.entries.get(digest).cloned();
        subjects.iter().map(find).collect()
    };
    damage::refresh(inner);
    let known = subjects.iter().zip(known);
    let known = known.map(|(digest, known)| {
        known
            .filter(|known| damage::stamp(inner, digest) == Some(known.stamp))
            .map(|known| known.data)
    });
    Ok(known.collect())
}

/// Keeps data, if that is possible.
pub(crate) fn remember(
    inner: &Inner,
    data: Vec<(Digest, Vec<u8>)>,
    kind: &str,
) -> Result<(), Error> {
    check_kind(kind)?;
    if let Some((subject, data)) = data.iter().find(|(_, data)| data.len() > MAX_DATA) {
        return Err(Error::TooMuch(format!(
            "{} bytes of {kind} of {subject} are more than the {MAX_DATA} kept together with others",
            data.len()
        )));
    }
    damage::refresh(inner);
    let new = data.into_iter().filter_map(|(digest, data)| {
        let stamp = damage::stamp(inner, &digest)?;
        Some((digest, Entry { stamp, data }))
    });
    let new: Vec<(Digest, Entry)> = new.collect();
    let mut packs = lock(&inner.derived.packs.kinds);
    let pack = opened(inner, &mut packs, kind);
    pack.is_unsaved |= !new.is_empty();
    pack.entries.extend(new);
    if packs.values().map(Pack::weight).sum::<usize>() > MOST {
        // What is listed next fills them again, with what is still here.
        packs.clear();
    }
    Ok(())
}

/// Has what the files lack written soon, on this runtime.
pub(crate) fn save_soon(inner: &Arc<Inner>) {
    if !inner.writable || inner.derived.packs.is_due.swap(true, Ordering::AcqRel) {
        return;
    }
    // Closing the store writes them, too.
    let inner = Arc::downgrade(inner);
    tokio::spawn(async move {
        tokio::time::sleep(SAVED_AFTER).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        inner.derived.packs.is_due.store(false, Ordering::Release);
        let _ = tokio::task::spawn_blocking(move || save(&inner)).await;
    });
}

/// Writes what the files lack.
pub(crate) fn save(inner: &Inner) {
    if !inner.writable {
        return;
    }
    let mut unsaved = Vec::new();
    for (kind, pack) in lock(&inner.derived.packs.kinds).iter_mut() {
        if std::mem::take(&mut pack.is_unsaved) {
            unsaved.push((kind.clone(), pack.encode()));
        }
    }
    for (kind, encoded) in unsaved {
        match write(inner, PACK, PACK, &kind, &encoded) {
            Ok(size) => bound(inner, size),
            Err(error) => tracing::debug!(kind, %error, "derived data is not kept"),
        }
    }
}

/// Drops what is kept of deleted blobs. Their files keep it until they are written again.
pub(crate) fn forget(packs: &Packs, gone: &[(Digest, u64)]) {
    for pack in lock(&packs.kinds).values_mut() {
        for (digest, _) in gone {
            pack.entries.remove(digest);
        }
    }
}

/// The pack of a kind, read if it was not.
fn opened<'p>(inner: &Inner, packs: &'p mut HashMap<String, Pack>, kind: &str) -> &'p mut Pack {
    packs.entry(kind.to_owned()).or_insert_with(|| {
        let file = regular::open(&path(&inner.layout, PACK, kind));
        let bytes = file.ok().and_then(|(mut file, metadata)| {
            if inner.writable {
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
    })
}
