//! What a tree keeps, in pieces that several trees share until one of them changes a piece.

use std::rc::Rc;

/// Bytes of a piece: large enough that few are needed, small enough to be copied for one change.
const PIECE_BYTES: usize = 64 << 10;
/// Slots of a piece, for the same reasons.
const PIECE_SLOTS: usize = 256;
/// The number of no slot.
pub(super) const NONE: u32 = u32::MAX;

/// Bytes one after another. What is there stays; what is not needed any more is left behind.
#[derive(Clone, Default)]
pub(super) struct Bytes {
    pieces: Vec<Rc<Vec<u8>>>,
    length: usize,
}

impl Bytes {
    /// How many there are, those left behind included.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// Keeps a text and says where. One larger than a piece gets its own.
    pub(super) fn add(&mut self, text: &[u8]) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let has_room = |piece: &Rc<Vec<u8>>| piece.len() + text.len() <= PIECE_BYTES;
        if !self.pieces.last().is_some_and(has_room) {
            self.pieces.push(Rc::default());
        }
        let number = self.pieces.len().saturating_sub(1);
        let Some(piece) = self.pieces.last_mut() else {
            return 0;
        };
        let offset = piece.len();
        Rc::make_mut(piece).extend_from_slice(text);
        self.length += text.len();
        // All bytes are bounded far below what 32 bits can say.
        u32::try_from(number * PIECE_BYTES + offset).unwrap_or(NONE)
    }

    /// The text of this length there.
    pub(super) fn get(&self, at: u32, length: usize) -> &[u8] {
        let at = at as usize;
        let piece = self.pieces.get(at / PIECE_BYTES);
        let start = at % PIECE_BYTES;
        let text = piece.and_then(|piece| piece.get(start..start + length));
        text.unwrap_or_default()
    }
}

/// A node's place among others, and what it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// Where its name is, the last component only.
    pub(super) name_at: u32,
    /// The directory it is in.
    pub(super) parent: u32,
    /// Siblings with smaller names.
    pub(super) left: u32,
    /// Siblings with larger names.
    pub(super) right: u32,
    /// The topmost of what is in it.
    pub(super) children: u32,
    /// Bytes of its name.
    pub(super) name_length: u16,
    /// How deep the siblings below it go.
    pub(super) height: u8,
    /// What it is.
    pub(super) value: Value,
}

/// What a node is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Value {
    pub(super) kind: Tag,
    pub(super) mode: u16,
    /// Number of the topmost layer that had an entry for it, or [`NONE`].
    pub(super) layer: u32,
    /// Of a file: number of the layer its content is in.
    pub(super) content_layer: u32,
    /// Of a file: which one it is, if it has several names, or [`NONE`].
    pub(super) link: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Where the rest is: see [`super::extra`].
    pub(super) extra_at: u32,
    /// Bytes of it; 0 if there is none.
    pub(super) extra_length: u32,
    pub(super) mtime: i64,
    /// Of a file where its content begins, of a link where its target is, of a device its major number.
    pub(super) first: u64,
    /// Of a file its size, of a link that of the target, of a device its minor number.
    pub(super) second: u64,
}

/// See [`super::NodeKind`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Tag {
    #[default]
    Directory,
    File,
    Symlink,
    CharacterDevice,
    BlockDevice,
    Fifo,
}

/// What stands where nothing is, which no number leads to.
static NOTHING: Slot = Slot {
    name_at: 0,
    parent: NONE,
    left: NONE,
    right: NONE,
    children: NONE,
    name_length: 0,
    height: 0,
    value: Value {
        kind: Tag::Fifo,
        mode: 0,
        layer: NONE,
        content_layer: NONE,
        link: NONE,
        uid: 0,
        gid: 0,
        extra_at: 0,
        extra_length: 0,
        mtime: 0,
        first: 0,
        second: 0,
    },
};

/// Slots by number. Numbers that were given back are given again.
#[derive(Clone)]
pub(super) struct Slots {
    pieces: Vec<Rc<Vec<Slot>>>,
    /// The first that was given back; the others follow by their `left`.
    free: u32,
    used: usize,
}

impl Default for Slots {
    fn default() -> Self {
        Self {
            pieces: Vec::new(),
            free: NONE,
            used: 0,
        }
    }
}

impl Slots {
    /// How many are in use.
    pub(super) fn len(&self) -> usize {
        self.used
    }

    /// One of them.
    pub(super) fn get(&self, number: u32) -> &Slot {
        let number = number as usize;
        let piece = self.pieces.get(number / PIECE_SLOTS);
        let slot = piece.and_then(|piece| piece.get(number % PIECE_SLOTS));
        slot.unwrap_or(&NOTHING)
    }

    /// One of them, to be changed. Its piece is copied if another tree has it, too.
    pub(super) fn get_mut(&mut self, number: u32) -> Option<&mut Slot> {
        let number = number as usize;
        let piece = self.pieces.get_mut(number / PIECE_SLOTS)?;
        Rc::make_mut(piece).get_mut(number % PIECE_SLOTS)
    }

    /// Adds one and says which.
    pub(super) fn add(&mut self, slot: Slot) -> u32 {
        self.used += 1;
        let free = self.free;
        if free != NONE {
            self.free = self.get(free).left;
            if let Some(place) = self.get_mut(free) {
                *place = slot;
            }
            return free;
        }
        let is_full = |piece: &Rc<Vec<Slot>>| piece.len() >= PIECE_SLOTS;
        if self.pieces.last().is_none_or(is_full) {
            self.pieces.push(Rc::default());
        }
        let number = self.pieces.len().saturating_sub(1) * PIECE_SLOTS;
        let Some(piece) = self.pieces.last_mut() else {
            return NONE;
        };
        let number = number + piece.len();
        Rc::make_mut(piece).push(slot);
        // Trees are bounded far below what 32 bits can count.
        u32::try_from(number).unwrap_or(NONE)
    }

    /// Gives one back.
    pub(super) fn remove(&mut self, number: u32) {
        let free = self.free;
        if let Some(slot) = self.get_mut(number) {
            slot.left = free;
            self.free = number;
            self.used = self.used.saturating_sub(1);
        }
    }
}
