//! Taking a layer apart as it arrives.

use super::{Entry, Kind, Metadata, name};
use crate::archive::{ArchiveError, Frame, Frames, Head};

/// What a [`Parser`] found at the start of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet: all input is used.
    More,
    /// A new entry begins.
    Entry(Entry),
    /// The bytes used are content of the entry.
    Content,
    /// The archive is at its end; what follows does not belong to it.
    End,
}

/// Takes a layer apart: as [`crate::archive::Parser`], whose bounds hold here too, with all that entries say.
#[derive(Default)]
pub struct Parser {
    frames: Frames,
    /// Absolute names are below the root.
    rooted: bool,
}

impl Parser {
    /// A parser at the start of a layer.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for a tar that may name its entries from the root, as `docker cp` does: absolute names lose their
    /// slashes, as when tar extracts them.
    pub fn rooted() -> Self {
        Self {
            rooted: true,
            ..Self::default()
        }
    }

    /// Looks at `input`, which follows what was used before, and says how many bytes of it are used up.
    ///
    /// # Errors
    /// [`ArchiveError`]; the parser is of no use then. A name or a hard link's target that is absolute or has a `..`
    /// is [`ArchiveError::Outside`] or [`ArchiveError::LinkOutside`]; where symbolic links lead does not matter here.
    /// What is neither file, directory, link, device nor pipe is [`ArchiveError::Header`].
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, Step), ArchiveError> {
        let (used, frame) = self.frames.step(input)?;
        let step = match frame {
            Frame::More => Step::More,
            Frame::Head(head) => Step::Entry(self.entry(*head)?),
            Frame::Content => Step::Content,
            Frame::End => Step::End,
        };
        Ok((used, step))
    }

    /// Bytes used so far: when an entry was just found, where its content begins.
    pub fn offset(&self) -> u64 {
        self.frames.offset()
    }

    /// Bytes of the current entry's content that are still to come.
    pub fn remaining(&self) -> u64 {
        self.frames.remaining()
    }

    /// Tells whether the layer was whole, when no more input comes.
    ///
    /// # Errors
    /// [`ArchiveError::Empty`] or [`ArchiveError::Truncated`].
    pub fn finish(&self) -> Result<(), ArchiveError> {
        self.frames.finish()
    }

    fn entry(&self, mut head: Head) -> Result<Entry, ArchiveError> {
        let path = self.clean(&head.path);
        let path = path.ok_or_else(|| ArchiveError::Outside(lossy(&head.path)))?;
        let kind =
            match (head.flag, head.sparse.take()) {
                (_, Some(sparse)) => Kind::Sparse(sparse),
                _ if head.is_directory() => Kind::Directory,
                (0 | b'0' | b'7', None) => Kind::File(head.size.unwrap_or_default()),
                (b'1', None) => Kind::HardLink(self.clean(&head.link).ok_or_else(|| {
                    ArchiveError::LinkOutside {
                        path: lossy(&head.path),
                        target: lossy(&head.link),
                    }
                })?),
                (b'2', None) => Kind::Symlink(head.link.clone()),
                (b'3', None) => {
                    let (major, minor) = self.device(&head)?;
                    Kind::CharacterDevice(major, minor)
                }
                (b'4', None) => {
                    let (major, minor) = self.device(&head)?;
                    Kind::BlockDevice(major, minor)
                }
                (b'6', None) => Kind::Fifo,
                _ => return Err(self.frames.invalid_header("no file has its type")),
            };
        let metadata = self.metadata(head)?;
        Ok(Entry {
            path,
            kind,
            metadata,
        })
    }

    fn clean(&self, name: &[u8]) -> Option<Vec<u8>> {
        let slashes = name.iter().take_while(|byte| self.rooted && **byte == b'/');
        name::clean(name.get(slashes.count()..)?)
    }

    fn device(&self, head: &Head) -> Result<(u32, u32), ArchiveError> {
        let number = |number: Option<i64>| u32::try_from(number?).ok();
        let (major, minor) = head.device;
        let device = number(major).zip(number(minor));
        device.ok_or_else(|| self.frames.invalid_header("its device has no numbers"))
    }

    fn metadata(&self, head: Head) -> Result<Metadata, ArchiveError> {
        if let Some(reason) = head.pax.fault {
            return Err(self.frames.invalid_extension(reason));
        }
        let invalid = |reason| move || self.frames.invalid_header(reason);
        let owner = |pax: Option<u64>, own: Option<i64>| {
            let own = || u64::try_from(own?).ok();
            pax.or_else(own)
                .ok_or_else(invalid("its owner is no number"))
        };
        let mode = head.mode.ok_or_else(invalid("its mode is no number"))?;
        let mtime = head.pax.mtime.or(head.mtime);
        Ok(Metadata {
            // Some tools write the file type above the permissions.
            mode: u32::try_from(mode & 0o7777).unwrap_or_default(),
            uid: owner(head.pax.uid, head.uid)?,
            gid: owner(head.pax.gid, head.gid)?,
            mtime: mtime.ok_or_else(invalid("its time is no number"))?,
            xattrs: head.pax.xattrs,
        })
    }
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
