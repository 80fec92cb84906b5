//! What a layer lists, in few bytes, so that it can be kept and need not be read out of the layer again.
//!
//! A list is: the version, flags, how many entries there are, and the entries. Each begins with how many bytes of its
//! name are those of the entry before and with the rest of it, then a byte that says what it is and which of the rest
//! is as before: mode and owner, time. Numbers are of variable length ([`varint`]).

mod read;
mod write;

pub use read::Entries;

use super::{Entry, Metadata, varint};

/// The first byte of every list of this form; another one is not read.
const VERSION: u8 = 1;
/// The layer is not compressed.
const PLAIN: u8 = 1;
/// Some entry is a whiteout.
const WHITEOUTS: u8 = 2;

/// The most entries a list may have: each takes some bytes of memory and a step of work, whatever becomes of it. The
/// largest layers seen have four hundred thousand.
pub const MAX_LIST_ENTRIES: usize = 1_000_000;
/// The most bytes a list may have. Those of the largest layers have ten million.
pub const MAX_LIST_BYTES: usize = 48 << 20;

/// What an entry is, and what is left out of it.
mod tag {
    pub(super) const FILE: u8 = 0;
    pub(super) const SPARSE: u8 = 1;
    pub(super) const DIRECTORY: u8 = 2;
    pub(super) const SYMLINK: u8 = 3;
    pub(super) const HARD_LINK: u8 = 4;
    pub(super) const CHARACTER_DEVICE: u8 = 5;
    pub(super) const BLOCK_DEVICE: u8 = 6;
    pub(super) const FIFO: u8 = 7;
    pub(super) const KINDS: u8 = 0x0f;
    /// Mode and owner are those of the entry before.
    pub(super) const SAME_OWNER: u8 = 0x10;
    /// So is the time.
    pub(super) const SAME_TIME: u8 = 0x20;
    /// There are attributes.
    pub(super) const ATTRIBUTES: u8 = 0x40;
}

/// What a layer lists: its entries in their order, whiteouts included, each with where its content begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// The entries.
    bytes: Vec<u8>,
    count: usize,
    is_plain: bool,
    has_whiteouts: bool,
    last: Last,
}

/// What entries are told apart from: the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Last {
    path: Vec<u8>,
    mode: u32,
    uid: u64,
    gid: u64,
    mtime: i64,
    offset: u64,
}

/// Why a layer cannot be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the layer lists more than {MAX_LIST_ENTRIES} entries, or names and attributes of more than {MAX_LIST_BYTES} bytes"
)]
pub struct TooLong;

impl List {
    /// A list of nothing, of a layer that is compressed or not.
    pub fn new(is_plain: bool) -> Self {
        Self {
            is_plain,
            ..Self::default()
        }
    }

    /// Whether the layer is not compressed, so that it can be read anywhere.
    pub fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// Whether any entry hides what is below.
    pub fn has_whiteouts(&self) -> bool {
        self.has_whiteouts
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes it takes.
    pub fn weight(&self) -> usize {
        self.bytes.len()
    }

    /// Adds an entry. `offset` is where its content begins.
    ///
    /// # Errors
    /// [`TooLong`] beyond [`MAX_LIST_ENTRIES`] or [`MAX_LIST_BYTES`].
    pub fn push(&mut self, entry: &Entry, offset: u64) -> Result<(), TooLong> {
        if self.count >= MAX_LIST_ENTRIES || self.bytes.len() >= MAX_LIST_BYTES {
            return Err(TooLong);
        }
        self.has_whiteouts |= entry.whiteout().is_some();
        write::entry(&mut self.bytes, &mut self.last, entry, offset);
        self.count += 1;
        Ok(())
    }

    /// The entries.
    pub fn entries(&self) -> Entries<'_> {
        Entries::new(&self.bytes)
    }

    /// As bytes that [`List::parse`] reads.
    pub fn encode(&self) -> Vec<u8> {
        let flag = |is_set, flag| if is_set { flag } else { 0 };
        let flags = flag(self.is_plain, PLAIN) | flag(self.has_whiteouts, WHITEOUTS);
        let mut bytes = Vec::with_capacity(self.bytes.len() + 16);
        bytes.extend([VERSION, flags]);
        varint::put(&mut bytes, self.count as u64);
        bytes.extend_from_slice(&self.bytes);
        bytes
    }

    /// Reads a list again; `None` if it is of another version. If it is damaged, [`List::entries`] has fewer than
    /// [`List::len`].
    pub fn parse(mut bytes: Vec<u8>) -> Option<Self> {
        let mut rest = bytes.as_slice();
        let head = varint::take_bytes(&mut rest, 2)?;
        let [VERSION, flags] = *head else {
            return None;
        };
        let count = varint::take_size(&mut rest)?;
        let start = bytes.len() - rest.len();
        bytes.drain(..start);
        Some(Self {
            bytes,
            count,
            is_plain: flags & PLAIN != 0,
            has_whiteouts: flags & WHITEOUTS != 0,
            last: Last::default(),
        })
    }
}

impl Last {
    /// Whether mode and owner are as before.
    fn is_owner(&self, metadata: &Metadata) -> bool {
        let before = (self.mode, self.uid, self.gid);
        before == (metadata.mode, metadata.uid, metadata.gid)
    }
}
