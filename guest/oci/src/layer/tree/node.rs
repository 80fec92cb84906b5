//! What a tree is made of.

use crate::{archive::Sparse, layer::Metadata};

/// Which node of a tree. It stays the same while the node has its name; trees that were copied from one another share
/// what neither has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) u32);

impl NodeId {
    /// The root of every tree.
    pub const ROOT: Self = Self(0);
}

/// Where the content of a file lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content {
    /// Number of the layer, as given to [`super::Tree::put`].
    pub layer: u32,
    /// Where it begins in the uncompressed layer.
    pub offset: u64,
    /// Its size in bytes, holes included.
    pub size: u64,
}

/// Something with a name, taken out of the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Owner, permissions, time; hard links share them.
    pub metadata: Metadata,
    /// Number of the topmost layer that had an entry for it; `None` for directories nobody wrote, which have mode
    /// `0o755` and owner root.
    pub layer: Option<u32>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A file. `link` is the same for all names of one file that has several (hard links), `None` for one name.
    File {
        /// Where its content lies.
        content: Content,
        /// Which file it is. If all other names are gone again it stays.
        link: Option<u32>,
        /// What of it is stored, if it has holes.
        sparse: Option<Sparse>,
    },
    /// A directory.
    Directory,
    /// A symbolic link and where it leads.
    Symlink(Vec<u8>),
    /// A character device: major, minor.
    CharacterDevice(u32, u32),
    /// A block device: major, minor.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}
