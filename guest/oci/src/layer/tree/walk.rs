//! Going through trees in order: a directory before what is in it, siblings in byte order of their names.

use std::cmp::Ordering;

use super::{
    NodeId, Tree,
    arena::{NONE, Tag},
};

/// A node and all that is below it.
pub(super) struct Walk<'t> {
    tree: &'t Tree,
    first: Option<u32>,
    /// What comes next, the last one first; what is in each, and its larger siblings, comes after it.
    pending: Vec<u32>,
}

impl<'t> Walk<'t> {
    /// From a node on.
    pub(super) fn new(tree: &'t Tree, top: Option<NodeId>) -> Self {
        Self {
            tree,
            first: top.map(|top| top.0),
            pending: Vec::new(),
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = NodeId;

    fn next(&mut self) -> Option<NodeId> {
        let slots = &self.tree.slots;
        let node = match self.first.take() {
            Some(top) => top,
            None => {
                let node = self.pending.pop()?;
                descend(self.tree, &mut self.pending, slots.get(node).right);
                node
            }
        };
        descend(self.tree, &mut self.pending, slots.get(node).children);
        Some(NodeId(node))
    }
}

/// Siblings down to the first.
fn descend(tree: &Tree, pending: &mut Vec<u32>, mut top: u32) {
    while top != NONE {
        pending.push(top);
        top = tree.slots.get(top).left;
    }
}

/// Something that is in one of two trees, or in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In the first.
    pub old: Option<NodeId>,
    /// In the second.
    pub new: Option<NodeId>,
}

/// What two trees have below their roots, name by name; see [`Tree::compare`].
pub struct Pairs<'t> {
    old: &'t Tree,
    new: &'t Tree,
    order: Order,
    directories: Vec<Both>,
}

/// In which order a directory is gone through.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By name.
    Names,
    /// What is only in the first tree goes before all else of its directory, as the specification of layers asks.
    RemovedFirst,
}

/// A directory in both trees.
struct Both {
    old_top: u32,
    new_top: u32,
    old: Vec<u32>,
    new: Vec<u32>,
    pass: Pass,
}

/// What a directory is gone through for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    All,
    Removed,
    Rest,
}

impl<'t> Pairs<'t> {
    pub(super) fn new(old: &'t Tree, new: &'t Tree, order: Order) -> Self {
        let mut pairs = Self {
            old,
            new,
            order,
            directories: Vec::new(),
        };
        let root = |tree: &Tree| tree.slots.get(NodeId::ROOT.0).children;
        pairs.enter(root(old), root(new));
        pairs
    }

    fn enter(&mut self, old_top: u32, new_top: u32) {
        let pass = match self.order {
            Order::Names => Pass::All,
            Order::RemovedFirst => Pass::Removed,
        };
        let mut both = Both {
            old_top,
            new_top,
            old: Vec::new(),
            new: Vec::new(),
            pass,
        };
        both.start(self.old, self.new);
        self.directories.push(both);
    }
}

impl Both {
    fn start(&mut self, old: &Tree, new: &Tree) {
        descend(old, &mut self.old, self.old_top);
        descend(new, &mut self.new, self.new_top);
    }

    /// The next name of the directory.
    fn next(&mut self, old: &Tree, new: &Tree) -> Option<(Option<u32>, Option<u32>)> {
        let order = match (self.old.last(), self.new.last()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(before), Some(after)) => old.name_of(*before).cmp(new.name_of(*after)),
        };
        let take = |pending: &mut Vec<u32>, tree: &Tree| {
            let node = pending.pop()?;
            descend(tree, pending, tree.slots.get(node).right);
            Some(node)
        };
        let before = match order.is_le() {
            true => take(&mut self.old, old),
            false => None,
        };
        let after = match order.is_ge() {
            true => take(&mut self.new, new),
            false => None,
        };
        Some((before, after))
    }
}

impl Iterator for Pairs<'_> {
    type Item = Pair;

    fn next(&mut self) -> Option<Pair> {
        loop {
            let both = self.directories.last_mut()?;
            let Some((before, after)) = both.next(self.old, self.new) else {
                if both.pass == Pass::Removed {
                    both.pass = Pass::Rest;
                    both.start(self.old, self.new);
                } else {
                    self.directories.pop();
                }
                continue;
            };
            let pair = Pair {
                old: before.map(NodeId),
                new: after.map(NodeId),
            };
            match (after, both.pass) {
                (None, Pass::Rest) | (Some(_), Pass::Removed) => continue,
                (None, _) => {}
                (Some(after), _) => {
                    let after = self.new.slots.get(after);
                    if after.value.kind == Tag::Directory {
                        let before = before.map(|before| self.old.slots.get(before));
                        let is_directory = |kind| kind == Tag::Directory;
                        let before = before.filter(|before| is_directory(before.value.kind));
                        let before = before.map_or(NONE, |before| before.children);
                        self.enter(before, after.children);
                    }
                }
            }
            return Some(pair);
        }
    }
}
