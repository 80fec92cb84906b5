//! What a layer lists.

use std::collections::BTreeMap;

use super::{OPAQUE_WHITEOUT, WHITEOUT_PREFIX};
use crate::archive::Sparse;

/// Owner, permissions, time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permission, set-ID and sticky bits, at most `0o7777`.
    pub mode: u32,
    /// Numeric owner; names are not kept, since they mean nothing outside the file system.
    pub uid: u64,
    /// Numeric group.
    pub gid: u64,
    /// When it was last changed: Unix seconds, parts of them cut off.
    pub mtime: i64,
    /// Extended attributes (pax `SCHILY.xattr.`), by name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// An entry of a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its clean name, see [`crate::layer`].
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Owner, permissions, time.
    pub metadata: Metadata,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file and its size in bytes; that much content follows.
    File(u64),
    /// A file with holes: what is stored of it follows. Written, it is a file as any other, of its whole size.
    Sparse(Sparse),
    /// A directory.
    Directory,
    /// A symbolic link and where it leads, as written.
    Symlink(Vec<u8>),
    /// Another name of the file with this clean name.
    HardLink(Vec<u8>),
    /// A character device: major, minor.
    CharacterDevice(u32, u32),
    /// A block device: major, minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// What a whiteout removes from the layers below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whiteout<'a> {
    /// This name of the same directory, and all below it.
    Name(&'a [u8]),
    /// Everything in its directory.
    Opaque,
}

impl Entry {
    /// What it removes, if it is a whiteout: a name that starts with [`super::WHITEOUT_PREFIX`]. Other names of
    /// aufs (`.wh..wh.plnk`, …) remove nothing and are no files either, nor is what lies below them:
    /// `Whiteout::Name` of an empty name.
    pub fn whiteout(&self) -> Option<Whiteout<'_>> {
        let mut above = self.path.split(|byte| *byte == b'/');
        let name = above.next_back().unwrap_or_default();
        if above.any(|name| name.starts_with(WHITEOUT_PREFIX)) {
            return Some(Whiteout::Name(b""));
        }
        if name == OPAQUE_WHITEOUT {
            return Some(Whiteout::Opaque);
        }
        let removed = name.strip_prefix(WHITEOUT_PREFIX)?;
        let is_name = !removed.starts_with(WHITEOUT_PREFIX);
        Some(Whiteout::Name(if is_name { removed } else { b"" }))
    }
}
