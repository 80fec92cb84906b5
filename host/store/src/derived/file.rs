//! A file of derived data: whom it is about, a checksum, and the data, compressed where that is worth it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use crate::layout::Layout;
use crate::{Digest, Error, regular};

/// Largest data of one blob and kind, in bytes: the names of some 500,000 files.
pub(super) const MAX_ENTRY: usize = 64 << 20;
/// Data from here on is worth compressing, in bytes.
const COMPRESSED: usize = 4096;
/// Fast: the point is to spare the disk, and reading must stay quick.
const LEVEL: i32 = 1;
/// Use is noted once in that time.
pub(super) const NOTED: Duration = Duration::from_secs(3600);
/// Kinds there may be: a folder each.
pub(super) const MAX_KINDS: usize = 16;
/// Longest kind in bytes.
const MAX_KIND: usize = 32;
/// Bytes a file takes at least, as file systems count.
pub(super) const BLOCK: u64 = 4096;
/// Beginning of the names of files being written.
pub(super) const TEMPORARY: &str = ".";

const MAGIC: &[u8; 8] = b"strata1\n";
/// [`MAGIC`], SHA-256 of all that follows and of whom it is about, size of the data, whether it is
/// compressed.
const HEADER: usize = 8 + 32 + 8 + 1;

/// Checks a kind, which becomes the name of a folder.
pub(crate) fn check_kind(kind: &str) -> Result<(), Error> {
    let is_fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if kind.is_empty() || kind.len() > MAX_KIND || !kind.bytes().all(is_fine) {
        return Err(Error::Argument(format!(
            "kind {kind:?} of derived data must be lower-case letters, digits and '-', at most \
             {MAX_KIND}"
        )));
    }
    Ok(())
}

/// The file `name` of a kind.
pub(super) fn path(layout: &Layout, name: &str, kind: &str) -> PathBuf {
    layout.derived().join(kind).join(name)
}

/// The name of the file about a blob.
pub(super) fn name_of(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().as_str(), digest.encoded())
}

/// The folder of each kind there is.
pub(super) fn kinds(layout: &Layout) -> impl Iterator<Item = PathBuf> {
    let folders = fs::read_dir(layout.derived()).ok();
    let folders = folders.into_iter().flatten().flatten();
    folders.map(|folder| folder.path())
}

/// Reads a file about `subject`; `None` if it is not whole.
pub(super) fn read(
    file: &mut File,
    metadata: &Metadata,
    subject: &str,
    kind: &str,
) -> Option<Vec<u8>> {
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

/// Writes a file about `subject`. Bytes it takes on disk.
pub(super) fn write(
    layout: &Layout,
    name: &str,
    subject: &str,
    kind: &str,
    data: &[u8],
) -> io::Result<u64> {
    let target = path(layout, name, kind);
    let folder = layout.derived().join(kind);
    if !folder.is_dir() {
        if kinds(layout).count() >= MAX_KINDS {
            return Err(io::Error::other(format!("{MAX_KINDS} kinds are enough")));
        }
        // Nothing but folders and files belongs here.
        regular::clear_other(&layout.derived(), true);
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
    let temporary = folder.join(format!("{TEMPORARY}{}", layout.unique()));
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

/// For the order in which data goes.
pub(super) fn note_use(file: &File, metadata: &Metadata) {
    let now = SystemTime::now();
    let is_noted = metadata
        .modified()
        .is_ok_and(|noted| now.duration_since(noted).is_ok_and(|since| since < NOTED));
    if !is_noted {
        // Then it only goes earlier.
        let _ = file.set_modified(now);
    }
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
