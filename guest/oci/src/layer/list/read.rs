//! The entries of a list.

use super::{Last, tag};
use crate::{
    archive::{MAX_NAME_BYTES, Sparse},
    layer::{
        Entry, Kind, Metadata, take_fragments,
        varint::{take, take_bytes, take_size, take_text, unzigzag},
    },
};

/// Goes through a list. It ends early if that is damaged.
#[derive(Clone, Debug)]
pub struct Entries<'a> {
    rest: &'a [u8],
    last: Last,
}

impl<'a> Entries<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            last: Last::default(),
        }
    }

    fn entry(&mut self) -> Option<(Entry, u64)> {
        let rest = &mut self.rest;
        let last = &mut self.last;
        let alike = take_size(rest)?;
        if alike > last.path.len() {
            return None;
        }
        last.path.truncate(alike);
        last.path.extend_from_slice(take_text(rest)?);
        if last.path.len() > MAX_NAME_BYTES {
            return None;
        }
        let (what, _) = take_bytes(rest, 1)?.split_first()?;
        if what & tag::SAME_OWNER == 0 {
            last.mode = u32::try_from(take(rest)?).ok()?;
            last.uid = take(rest)?;
            last.gid = take(rest)?;
        }
        if what & tag::SAME_TIME == 0 {
            last.mtime = last.mtime.wrapping_add(unzigzag(take(rest)?));
        }
        let mut metadata = Metadata {
            mode: last.mode,
            uid: last.uid,
            gid: last.gid,
            mtime: last.mtime,
            ..Metadata::default()
        };
        if what & tag::ATTRIBUTES != 0 {
            for _ in 0..take(rest)? {
                let name = take_text(rest)?.to_vec();
                metadata.xattrs.insert(name, take_text(rest)?.to_vec());
            }
        }
        let mut offset = 0;
        if matches!(what & tag::KINDS, tag::FILE | tag::SPARSE) {
            last.offset = last.offset.wrapping_add(take(rest)?);
            offset = last.offset;
        }
        let kind = match what & tag::KINDS {
            tag::FILE => Kind::File(take(rest)?),
            tag::SPARSE => Kind::Sparse(Sparse {
                size: take(rest)?,
                fragments: take_fragments(rest)?,
            }),
            tag::DIRECTORY => Kind::Directory,
            tag::SYMLINK => Kind::Symlink(take_text(rest)?.to_vec()),
            tag::HARD_LINK => Kind::HardLink(take_text(rest)?.to_vec()),
            tag::CHARACTER_DEVICE => Kind::CharacterDevice(number(rest)?, number(rest)?),
            tag::BLOCK_DEVICE => Kind::BlockDevice(number(rest)?, number(rest)?),
            tag::FIFO => Kind::Fifo,
            _ => return None,
        };
        let entry = Entry {
            path: last.path.clone(),
            kind,
            metadata,
        };
        Some((entry, offset))
    }
}

impl Iterator for Entries<'_> {
    type Item = (Entry, u64);

    fn next(&mut self) -> Option<(Entry, u64)> {
        let entry = self.entry();
        if entry.is_none() {
            self.rest = &[];
        }
        entry
    }
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(take(rest)?).ok()
}
