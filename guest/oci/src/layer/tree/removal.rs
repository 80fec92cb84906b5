//! Taking nodes out of a tree, and making room of what they leave behind.

use super::{
    NodeId, Tree,
    arena::{Bytes, NONE, Tag},
};
use crate::layer::{Entry, Whiteout, name::split};

impl Tree {
    /// Removes what a whiteout hides; whether it is one. Whiteouts of a layer count first, wherever they stand: they
    /// hide nothing of their own layer.
    pub fn hide(&mut self, entry: &Entry) -> bool {
        let Some(whiteout) = entry.whiteout() else {
            return false;
        };
        let (directory, _) = split(&entry.path);
        let directory = self.find(directory);
        match (whiteout, directory) {
            (_, None) | (Whiteout::Name(b""), _) => {}
            (Whiteout::Name(name), Some(directory)) => {
                if let Some(node) = self.child(directory.0, name) {
                    self.detach(node);
                    self.remove(node);
                }
            }
            (Whiteout::Opaque, Some(directory)) => self.clear(directory.0),
        }
        true
    }

    /// Removes everything in a directory.
    pub(super) fn clear(&mut self, directory: u32) {
        let top = self.slots.get(directory).children;
        if top != NONE {
            self.set_children(directory, NONE);
            self.remove_all(vec![top]);
        }
    }

    /// Removes a node, which is in no directory any more, and all below it.
    fn remove(&mut self, node: u32) {
        let children = self.slots.get(node).children;
        self.forget(node);
        self.remove_all(vec![children]);
    }

    /// Removes nodes, their siblings on both sides, and all below them.
    fn remove_all(&mut self, mut tops: Vec<u32>) {
        while let Some(top) = tops.pop() {
            if top != NONE {
                let slot = self.slots.get(top);
                tops.extend([slot.left, slot.right, slot.children]);
                self.forget(top);
            }
        }
    }

    fn forget(&mut self, node: u32) {
        let slot = self.slots.get(node);
        let weight = usize::from(slot.name_length) + slot.value.weight();
        self.weight = self.weight.saturating_sub(weight);
        self.slots.remove(node);
        self.work.last = None;
    }

    /// Writes the bytes anew without those left behind.
    pub(super) fn make_room(&mut self) {
        let nodes: Vec<NodeId> = self.walk(b"").collect();
        let mut bytes = Bytes::default();
        for NodeId(node) in nodes {
            let slot = self.slots.get(node);
            let name_at = bytes.add(self.name_of(node));
            let extra_at = bytes.add(self.extra(&slot.value));
            let target = match slot.value.kind {
                Tag::Symlink => Some(bytes.add(self.target(&slot.value))),
                _ => None,
            };
            if let Some(slot) = self.slots.get_mut(node) {
                slot.name_at = name_at;
                slot.value.extra_at = extra_at;
                slot.value.first = target.map_or(slot.value.first, u64::from);
            }
        }
        self.bytes = bytes;
    }
}
