//! The file system that layers make together.
//!
//! A tree is made to be small and to be copied: a node takes 80 bytes and its own name, the last component, and what is
//! kept lies in pieces that copies share until one of them changes ([`arena`]). So a container's file system costs what
//! differs from its image's.

mod apply;
mod arena;
mod extra;
mod node;
mod removal;
mod resolve;
mod siblings;
mod walk;

use std::fmt;

pub use apply::TreeError;
pub use node::{Content, Node, NodeId, NodeKind};
pub use resolve::PathError;
pub use walk::{Order, Pair, Pairs};

pub(super) use extra::{put_fragments, take_fragments};

use self::{
    apply::Work,
    arena::{Bytes, NONE, Slot, Slots, Tag, Value},
    walk::Walk,
};
use super::{Metadata, name};
use crate::archive::Sparse;

/// A file system as names and what they are. A copy is cheap.
#[derive(Clone)]
pub struct Tree {
    /// The first is the root, which is always there; whatever else is there is in a directory.
    slots: Slots,
    /// Names, targets and the rest that has no fixed size.
    bytes: Bytes,
    /// How many of these bytes nodes use; what several share counts for each.
    weight: usize,
    /// What the last layer cost.
    work: Work,
    /// Files with several names so far.
    links: u32,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tree = f.debug_struct("Tree");
        tree.field("len", &self.len()).finish_non_exhaustive()
    }
}

#[expect(
    clippy::len_without_is_empty,
    reason = "there is always a root; is_empty is about a directory"
)]
impl Tree {
    /// Only the root: a directory of root with mode `0o755`.
    pub fn new() -> Self {
        let mut slots = Slots::default();
        slots.add(Slot {
            parent: NONE,
            left: NONE,
            right: NONE,
            children: NONE,
            height: 1,
            value: Value::directory(),
            ..Slot::default()
        });
        Self {
            slots,
            bytes: Bytes::default(),
            weight: 0,
            work: Work::default(),
            links: 0,
        }
    }

    /// Which node has this clean name; links are not followed.
    pub fn find(&self, path: &[u8]) -> Option<NodeId> {
        let mut parts = name::components(path);
        let found = parts.try_fold(NodeId::ROOT.0, |at, part| self.child(at, part));
        found.map(NodeId)
    }

    /// The node with this clean name; links are not followed.
    pub fn get(&self, path: &[u8]) -> Option<Node> {
        self.find(path).map(|id| self.node(id))
    }

    /// A node in full.
    pub fn node(&self, id: NodeId) -> Node {
        let value = &self.slots.get(id.0).value;
        let mut metadata = Metadata {
            mode: value.mode.into(),
            uid: value.uid.into(),
            gid: value.gid.into(),
            mtime: value.mtime,
            ..Metadata::default()
        };
        let extra = self.extra(value);
        let fragments = match extra.is_empty() {
            true => None,
            false => extra::decode(extra, &mut metadata),
        };
        let number = |number: u64| u32::try_from(number).unwrap_or_default();
        let device = (number(value.first), number(value.second));
        let kind = match value.kind {
            Tag::Directory => NodeKind::Directory,
            Tag::File => NodeKind::File {
                content: value.content(),
                link: some(value.link),
                sparse: fragments.map(|fragments| Sparse {
                    size: value.second,
                    fragments,
                }),
            },
            Tag::Symlink => NodeKind::Symlink(self.target(value).to_vec()),
            Tag::CharacterDevice => NodeKind::CharacterDevice(device.0, device.1),
            Tag::BlockDevice => NodeKind::BlockDevice(device.0, device.1),
            Tag::Fifo => NodeKind::Fifo,
        };
        Node {
            kind,
            metadata,
            layer: some(value.layer),
        }
    }

    /// The clean name of a node.
    pub fn path(&self, id: NodeId) -> Vec<u8> {
        let mut above = Vec::new();
        let mut at = id.0;
        while at != NONE && at != NodeId::ROOT.0 {
            above.push(at);
            at = self.slots.get(at).parent;
        }
        let mut path = Vec::new();
        for node in above.into_iter().rev() {
            name::push(&mut path, self.name_of(node));
        }
        path
    }

    /// Whether a node is a directory.
    pub fn is_directory(&self, id: NodeId) -> bool {
        self.slots.get(id.0).value.kind == Tag::Directory
    }

    /// Number of the topmost layer that had an entry for a node; see [`Node::layer`].
    pub fn layer(&self, id: NodeId) -> Option<u32> {
        some(self.slots.get(id.0).value.layer)
    }

    /// Where the content of a file lies, and which file it is; `None` for what is no file.
    pub fn content(&self, id: NodeId) -> Option<(Content, Option<u32>)> {
        let value = &self.slots.get(id.0).value;
        (value.kind == Tag::File).then(|| (value.content(), some(value.link)))
    }

    /// Everything at and below the clean name `path`, a directory before what is in it, siblings in byte order of their
    /// names; nothing if there is no such node.
    pub fn walk(&self, path: &[u8]) -> impl Iterator<Item = NodeId> {
        let top = self.find(path);
        Walk::new(self, top)
    }

    /// What this tree and another have below their roots, directories before what is in them. What is below a directory
    /// that is only in this one, or no directory in the other, is left out: it is gone with it.
    pub fn compare<'t>(&'t self, new: &'t Self, order: Order) -> Pairs<'t> {
        Pairs::new(self, new, order)
    }

    /// Whether the directory with this clean name has nothing in it.
    pub fn is_empty(&self, path: &[u8]) -> bool {
        let directory = self.find(path);
        directory.is_none_or(|id| self.slots.get(id.0).children == NONE)
    }

    /// How many nodes there are, the root included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// The last component of a node's name.
    fn name_of(&self, node: u32) -> &[u8] {
        let slot = self.slots.get(node);
        self.bytes.get(slot.name_at, slot.name_length.into())
    }

    /// Where a symbolic link leads.
    fn target(&self, value: &Value) -> &[u8] {
        let at = u32::try_from(value.first).unwrap_or(NONE);
        let length = usize::try_from(value.second).unwrap_or_default();
        self.bytes.get(at, length)
    }

    fn extra(&self, value: &Value) -> &[u8] {
        self.bytes.get(value.extra_at, value.extra_length as usize)
    }
}

impl Value {
    /// A directory nobody wrote.
    fn directory() -> Self {
        Self {
            kind: Tag::Directory,
            mode: 0o755,
            layer: NONE,
            content_layer: NONE,
            link: NONE,
            ..Self::default()
        }
    }

    fn content(&self) -> Content {
        Content {
            layer: self.content_layer,
            offset: self.first,
            size: self.second,
        }
    }

    /// Bytes it uses beside its own.
    fn weight(&self) -> usize {
        let target = match self.kind {
            Tag::Symlink => usize::try_from(self.second).unwrap_or_default(),
            _ => 0,
        };
        target + self.extra_length as usize
    }
}

/// A number, unless it stands for none.
fn some(number: u32) -> Option<u32> {
    (number != NONE).then_some(number)
}
