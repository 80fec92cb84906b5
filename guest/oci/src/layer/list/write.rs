//! An entry into a list.

use super::{Last, tag};
use crate::layer::{
    Entry, Kind, put_fragments,
    varint::{put, put_text, zigzag},
};

/// Adds an entry to what was written before.
pub(super) fn entry(bytes: &mut Vec<u8>, last: &mut Last, entry: &Entry, offset: u64) {
    let Entry {
        path,
        kind,
        metadata,
    } = entry;
    let alike = path.iter().zip(&last.path);
    let alike = alike.take_while(|(one, other)| one == other).count();
    put(bytes, alike as u64);
    put_text(bytes, path.get(alike..).unwrap_or_default());
    last.path.truncate(alike);
    last.path
        .extend_from_slice(path.get(alike..).unwrap_or_default());

    let mut what = match kind {
        Kind::File(_) => tag::FILE,
        Kind::Sparse(_) => tag::SPARSE,
        Kind::Directory => tag::DIRECTORY,
        Kind::Symlink(_) => tag::SYMLINK,
        Kind::HardLink(_) => tag::HARD_LINK,
        Kind::CharacterDevice(..) => tag::CHARACTER_DEVICE,
        Kind::BlockDevice(..) => tag::BLOCK_DEVICE,
        Kind::Fifo => tag::FIFO,
    };
    let (is_owner, is_time) = (last.is_owner(metadata), last.mtime == metadata.mtime);
    for (is_set, flag) in [
        (is_owner, tag::SAME_OWNER),
        (is_time, tag::SAME_TIME),
        (!metadata.xattrs.is_empty(), tag::ATTRIBUTES),
    ] {
        what |= if is_set { flag } else { 0 };
    }
    bytes.push(what);
    if !is_owner {
        put(bytes, metadata.mode.into());
        put(bytes, metadata.uid);
        put(bytes, metadata.gid);
        (last.mode, last.uid, last.gid) = (metadata.mode, metadata.uid, metadata.gid);
    }
    if !is_time {
        put(bytes, zigzag(metadata.mtime.wrapping_sub(last.mtime)));
        last.mtime = metadata.mtime;
    }
    if !metadata.xattrs.is_empty() {
        put(bytes, metadata.xattrs.len() as u64);
        for (name, value) in &metadata.xattrs {
            put_text(bytes, name);
            put_text(bytes, value);
        }
    }
    match kind {
        Kind::File(size) => {
            put_offset(bytes, last, offset);
            put(bytes, *size);
        }
        Kind::Sparse(sparse) => {
            put_offset(bytes, last, offset);
            put(bytes, sparse.size);
            put_fragments(bytes, &sparse.fragments);
        }
        Kind::Symlink(target) | Kind::HardLink(target) => put_text(bytes, target),
        Kind::CharacterDevice(major, minor) | Kind::BlockDevice(major, minor) => {
            put(bytes, (*major).into());
            put(bytes, (*minor).into());
        }
        Kind::Directory | Kind::Fifo => {}
    }
}

/// Offsets grow.
fn put_offset(bytes: &mut Vec<u8>, last: &mut Last, offset: u64) {
    put(bytes, offset.wrapping_sub(last.offset));
    last.offset = offset;
}
