//! Data derived from blobs at some cost, kept so that it need not be derived again.
//!
//! One file per blob and kind ([`pack`]: of each kind), with a checksum, written without waiting for the disk: what is torn,
//! changed or no file at all counts as absent. So nothing here is ever needed, and everything may go: with its
//! blob, when the sum is over [`MOST`] the least recently used first, and all of it before a disk is
//! said to be full.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

pub(crate) mod pack;

use self::pack::Packs;
use crate::layout::Layout;
use crate::open::Inner;
use crate::{Digest, Error, regular};

/// Largest data of one blob and kind, in bytes: the names of some 500,000 files.
const MAX_ENTRY: usize = 64 << 20;
/// Bytes on disk of all data together. Lists of files shrink to a tenth, so that is hundreds of
/// images; what does not fit is only derived again.
const MOST: u64 = 256 << 20;
/// What is kept of that when it is too much, so that not every addition has to look.
const KEPT: u64 = MOST / 4 * 3;
/// Bytes a process adds between two looks at the sum, which other processes add to as well.
const LOOK_EVERY: u64 = 1 << 20;
/// Data from here on is worth compressing, in bytes.
const COMPRESSED: usize = 4096;
/// Fast: the point is to spare the disk, and reading must stay quick.
const LEVEL: i32 = 1;
/// Data up to this size on disk is read on the caller's thread, in bytes.
pub(crate) const INLINE: u64 = 64 * 1024;
/// Use is noted once in that time.
const NOTED: Duration = Duration::from_secs(3600);
/// Kinds there may be: a folder each.
const MAX_KINDS: usize = 16;
/// Longest kind in bytes.
const MAX_KIND: usize = 32;
/// Bytes a file takes at least, as file systems count.
const BLOCK: u64 = 4096;
/// Beginning of the names of files being written.
const TEMPORARY: &str = ".";
/// Name of the file of a pack in the folder of its kind.
const PACK: &str = "pack";

const MAGIC: &[u8; 8] = b"strata1\n";
/// [`MAGIC`], SHA-256 of all that follows and of whom it is about, size of the data, whether it is
/// compressed.
const HEADER: usize = 8 + 32 + 8 + 1;

/// What this process has added since it last looked at the sum.
pub(crate) struct Derived {
    added: AtomicU64,
    looking: std::sync::Mutex<()>,
    /// Large data read at once: each may take [`MAX_ENTRY`] twice.
    pub(crate) permits: tokio::sync::Semaphore,
    packs: Packs,
}

impl Default for Derived {
    fn default() -> Derived {
        Derived {
            // A process that adds little need not look; one that lives longer soon does.
            added: AtomicU64::new(LOOK_EVERY / 8 * 7),
            looking: std::sync::Mutex::default(),
            permits: tokio::sync::Semaphore::new(2),
            packs: Packs::default(),
        }
    }
}

/// Checks a kind, which becomes the name of a folder.
pub(crate) fn check_kind(kind: &str) -> Result<(), Error> {
    let is_fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if kind.is_empty() || kind.len() > MAX_KIND || !kind.bytes().all(is_fine) {
        return Err(Error::Invalid(format!(
            "kind {kind:?} of derived data must be lower-case letters, digits and '-', at most \
             {MAX_KIND}"
        )));
    }
    Ok(())
}

/// Bytes on disk, `None` if there is nothing.
pub(crate) fn stored_size(layout: &Layout, subject: &Digest, kind: &str) -> Option<u64> {
    fs::symlink_metadata(path(layout, &file_name(subject), kind))
        .ok()
        .map(|metadata| metadata.len())
}

/// What is kept, if it is whole and its blob is here.
pub(crate) fn recall(inner: &Inner, subject: &Digest, kind: &str) -> Option<Vec<u8>> {
    let name = file_name(subject);
    let path = path(&inner.layout, &name, kind);
    let Ok((mut file, metadata)) = regular::open(&path) else {
        if inner.writable {
            regular::clear_other(&path, false);
        }
        return None;
    };
    let data = read(&mut file, &metadata, subject.as_str(), kind);
    let is_orphan = matches!(inner.layout.stamp(subject), Ok(None));
    if data.is_none() || is_orphan {
        if inner.writable {
            let _ = fs::remove_file(&path);
        }
        return None;
    }
    if inner.writable {
        note_use(&file, &metadata);
    }
    data
}

fn read(file: &mut File, metadata: &Metadata, subject: &str, kind: &str) -> Option<Vec<u8>> {
    let largest = (HEADER + zstd::zstd_safe::compress_bound(MAX_ENTRY)) as u64;
    if metadata.len() > largest {
        return None;
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).ok()?);
    file.take(largest).read_to_end(&mut bytes).ok()?;
    let (magic, rest) = bytes.split_at_checked(MAGIC.len())?;
    let (checksum, rest) = rest.split_at_checked(32)?;
    if magic != MAGIC || checksum != checksum_of(subject, kind, rest) {
        return None;
    }
    let (size, rest) = rest.split_first_chunk::<8>()?;
    let size = usize::try_from(u64::from_le_bytes(*size)).ok()?;
    let (is_compressed, stored) = rest.split_first()?;
    let data = match is_compressed {
        0 => stored.to_vec(),
        _ if size <= MAX_ENTRY => zstd::bulk::decompress(stored, size).ok()?,
        _ => return None,
    };
    (data.len() == size).then_some(data)
}

/// For the order in which data goes.
fn note_use(file: &File, metadata: &Metadata) {
    let now = SystemTime::now();
    let is_noted = metadata
        .modified()
        .is_ok_and(|noted| now.duration_since(noted).is_ok_and(|since| since < NOTED));
    if !is_noted {
        // Then it only goes earlier.
        let _ = file.set_modified(now);
    }
}

/// Keeps data, if that is possible.
pub(crate) fn remember(
    inner: &Inner,
    subject: &Digest,
    kind: &str,
    data: &[u8],
) -> Result<(), Error> {
    check_kind(kind)?;
    if data.len() > MAX_ENTRY {
        return Err(Error::TooMuch(format!(
            "{} bytes of {kind} of {subject} are more than the {MAX_ENTRY} kept",
            data.len()
        )));
    }
    if !inner.writable || !matches!(inner.layout.stamp(subject), Ok(Some(_))) {
        return Ok(());
    }
    let name = file_name(subject);
    match write(inner, &name, subject.as_str(), kind, data) {
        Ok(size) => bound(inner, size),
        Err(error) => tracing::debug!(%subject, kind, %error, "derived data is not kept"),
    }
    if matches!(inner.layout.stamp(subject), Ok(None)) {
        // Deleted in between, when this was not there yet to go with it.
        let _ = fs::remove_file(path(&inner.layout, &name, kind));
    }
    Ok(())
}

/// Writes a file about `subject`. Bytes it takes on disk.
fn write(inner: &Inner, name: &str, subject: &str, kind: &str, data: &[u8]) -> io::Result<u64> {
    let target = path(&inner.layout, name, kind);
    let folder = inner.layout.derived().join(kind);
    if !folder.is_dir() {
        if kinds(&inner.layout).count() >= MAX_KINDS {
            return Err(io::Error::other(format!("{MAX_KINDS} kinds are enough")));
        }
        // Nothing but folders and files belongs here.
        regular::clear_other(&inner.layout.derived(), true);
        regular::clear_other(&folder, true);
        fs::create_dir_all(&folder)?;
    }
    regular::clear_other(&target, false);
    let mut rest = Vec::with_capacity(data.len().min(MAX_ENTRY / 4) + 9);
    rest.extend_from_slice(&(data.len() as u64).to_le_bytes());
    if data.len() >= COMPRESSED {
        rest.push(1);
        rest.extend_from_slice(&zstd::bulk::compress(data, LEVEL)?);
    } else {
        rest.push(0);
        rest.extend_from_slice(data);
    }
    let temporary = folder.join(format!("{TEMPORARY}{}", inner.unique()));
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(MAGIC)?;
        file.write_all(&checksum_of(subject, kind, &rest))?;
        file.write_all(&rest)?;
        fs::rename(&temporary, &target)
    });
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    Ok(((HEADER + rest.len()) as u64).max(BLOCK))
}

/// Sees to the sum after `size` bytes were added.
fn bound(inner: &Inner, size: u64) {
    let added = &inner.derived.added;
    if added.fetch_add(size, Ordering::Relaxed) + size < LOOK_EVERY {
        return;
    }
    // Who comes meanwhile need not look as well.
    let Ok(_looking) = inner.derived.looking.try_lock() else {
        return;
    };
    added.store(0, Ordering::Relaxed);
    shrink(&inner.layout, MOST, KEPT);
}

/// If there are more than `most` bytes, removes the least recently used until `kept` are left. False
/// if nothing had to go.
fn shrink(layout: &Layout, most: u64, kept: u64) -> bool {
    let now = SystemTime::now();
    let mut entries = Vec::new();
    let mut sum = 0;
    for file in kinds(layout)
        .filter_map(|kind| fs::read_dir(kind).ok())
        .flatten()
        .flatten()
    {
        let Ok(metadata) = file.metadata() else {
            continue;
        };
        let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let is_temporary = file
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY.as_bytes());
        if is_temporary {
            if now.duration_since(used).is_ok_and(|since| since > NOTED) {
                // Of a process that was killed.
                let _ = fs::remove_file(file.path());
            }
            continue;
        }
        let size = metadata.len().max(BLOCK);
        sum += size;
        entries.push((used, size, file.path()));
    }
    if sum <= most {
        return false;
    }
    entries.sort();
    for (_, size, path) in entries {
        if sum <= kept {
            break;
        }
        let _ = regular::clear(&path);
        sum -= size;
    }
    true
}

/// Removes what was derived from deleted blobs.
pub(crate) fn forget(inner: &Inner, gone: &[(Digest, u64)]) {
    pack::forget(&inner.derived.packs, gone);
    for kind in kinds(&inner.layout) {
        for (digest, _) in gone {
            let _ = regular::clear(&kind.join(file_name(digest)));
        }
    }
}

/// Removes everything, to make room for what cannot be derived. False if there was nothing.
pub(crate) fn clear(layout: &Layout) -> bool {
    shrink(layout, 0, 0)
}

fn kinds(layout: &Layout) -> impl Iterator<Item = PathBuf> {
    let folders = fs::read_dir(layout.derived()).ok();
    let folders = folders.into_iter().flatten().flatten();
    folders.map(|folder| folder.path())
}

fn path(layout: &Layout, name: &str, kind: &str) -> PathBuf {
    let folder: &Path = &layout.derived();
    folder.join(kind).join(name)
}

fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

/// Covers whom the data is about, so that a file that was renamed does not pass for another.
fn checksum_of(subject: &str, kind: &str, rest: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    let mut hasher = sha2::Sha256::new();
    hasher.update(subject);
    hasher.update([0]);
    hasher.update(kind);
    hasher.update([0]);
    hasher.update(rest);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_enough_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, _) = Layout::open(directory.path(), &crate::Options::default()).unwrap();
        let folder = layout.derived().join("kind");
        fs::create_dir_all(&folder).unwrap();
        for age in 0..10 {
            let file = File::create(folder.join(format!("{age}"))).unwrap();
            file.set_len(BLOCK).unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            file.set_modified(used).unwrap();
        }
        let left = || {
            let mut names: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names.concat()
        };
        assert!(!shrink(&layout, 10 * BLOCK, 5 * BLOCK));
        assert_eq!(left(), "0123456789");
        assert!(shrink(&layout, 9 * BLOCK, 4 * BLOCK));
        assert_eq!(left(), "0123");
        assert!(clear(&layout));
        assert_eq!(left(), "");
        assert!(!clear(&layout));
    }
}
