//! The file system that layers make together.

mod apply;
mod node;
mod resolve;

use std::{collections::BTreeMap, ops::Bound};

pub use apply::TreeError;
pub use node::{Content, Node, NodeKind};
pub use resolve::PathError;

use super::name::Name;

/// A file system as names and what they are.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The root is always there, and whatever else is there has all its parents, which are directories.
    nodes: BTreeMap<Name, Node>,
    /// Bytes of names and of what nodes hold beside their own size.
    weight: usize,
    /// As `weight`, of all that the last layer put there, even if it replaced it again: what its work was.
    work: usize,
    /// Files with several names so far.
    links: u32,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(
    clippy::len_without_is_empty,
    reason = "there is always a root; is_empty is about a directory"
)]
impl Tree {
    /// Only the root: a directory of root with mode `0o755`.
    pub fn new() -> Self {
        Self {
            nodes: BTreeMap::from([(Name::new(b""), Node::directory())]),
            weight: 0,
            work: 0,
            links: 0,
        }
    }

    /// The node with this clean name; links are not followed.
    pub fn get(&self, path: &[u8]) -> Option<&Node> {
        self.nodes.get(&Name::new(path))
    }

    /// Everything at and below the clean name `path`, a directory before what is in it, siblings in byte order of their
    /// names; nothing if there is no such node.
    pub fn walk(&self, path: &[u8]) -> impl Iterator<Item = (&[u8], &Node)> {
        let range = self.nodes.range(below(path));
        range.map(|(name, node)| (name.as_bytes(), node))
    }

    /// Whether the directory with this clean name has nothing in it.
    pub fn is_empty(&self, path: &[u8]) -> bool {
        self.walk(path).nth(1).is_none()
    }

    /// How many nodes there are, the root included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }
}

/// The names at and below a clean name.
fn below(path: &[u8]) -> (Bound<Name>, Bound<Name>) {
    let end = match path {
        b"" => Bound::Unbounded,
        path => Bound::Excluded(Name::end(path)),
    };
    (Bound::Included(Name::new(path)), end)
}
