//! What is in a directory, ordered by name: a balanced tree of its own (AVL), so that directories of hundreds of
//! thousands of names can be made in any order.

use std::cmp::Ordering;

use super::{Tree, arena::NONE};

impl Tree {
    /// What has this name in a directory.
    pub(super) fn child(&self, directory: u32, name: &[u8]) -> Option<u32> {
        let mut at = self.slots.get(directory).children;
        while at != NONE {
            at = match name.cmp(self.name_of(at)) {
                Ordering::Less => self.slots.get(at).left,
                Ordering::Equal => return Some(at),
                Ordering::Greater => self.slots.get(at).right,
            };
        }
        None
    }

    /// Puts a new node, whose name nothing has there, into its directory.
    pub(super) fn attach(&mut self, node: u32) {
        let directory = self.slots.get(node).parent;
        let top = self.slots.get(directory).children;
        let top = self.inserted(top, node);
        self.set_children(directory, top);
    }

    /// Takes a node out of its directory.
    pub(super) fn detach(&mut self, node: u32) {
        let directory = self.slots.get(node).parent;
        let top = self.slots.get(directory).children;
        let top = self.removed(top, node);
        self.set_children(directory, top);
    }

    pub(super) fn set_children(&mut self, directory: u32, top: u32) {
        if self.slots.get(directory).children != top
            && let Some(slot) = self.slots.get_mut(directory)
        {
            slot.children = top;
        }
    }

    /// The siblings below `top` with one more.
    fn inserted(&mut self, top: u32, node: u32) -> u32 {
        if top == NONE {
            return node;
        }
        let slot = self.slots.get(top);
        let (left, right) = (slot.left, slot.right);
        match self.name_of(node) < self.name_of(top) {
            true => {
                let left = self.inserted(left, node);
                self.set_sides(top, left, right);
            }
            false => {
                let right = self.inserted(right, node);
                self.set_sides(top, left, right);
            }
        }
        self.balanced(top)
    }

    /// The siblings below `top` without one of them.
    fn removed(&mut self, top: u32, node: u32) -> u32 {
        if top == NONE {
            return NONE;
        }
        let slot = self.slots.get(top);
        let (left, right) = (slot.left, slot.right);
        match self.name_of(node).cmp(self.name_of(top)) {
            Ordering::Less => {
                let left = self.removed(left, node);
                self.set_sides(top, left, right);
            }
            Ordering::Greater => {
                let right = self.removed(right, node);
                self.set_sides(top, left, right);
            }
            Ordering::Equal => {
                if right == NONE {
                    return left;
                }
                let (right, next) = self.without_first(right);
                self.set_sides(next, left, right);
                return self.balanced(next);
            }
        }
        self.balanced(top)
    }

    /// The siblings below `top` without the first, and that.
    fn without_first(&mut self, top: u32) -> (u32, u32) {
        let slot = self.slots.get(top);
        let (left, right) = (slot.left, slot.right);
        if left == NONE {
            return (right, top);
        }
        let (left, first) = self.without_first(left);
        self.set_sides(top, left, right);
        (self.balanced(top), first)
    }

    /// The same siblings, neither side deeper than the other by more than one.
    fn balanced(&mut self, top: u32) -> u32 {
        let slot = self.slots.get(top);
        let (left, right) = (slot.left, slot.right);
        let (on_left, on_right) = (self.height(left), self.height(right));
        if on_left > on_right + 1 {
            let slot = self.slots.get(left);
            let (outer, inner) = (slot.left, slot.right);
            if self.height(inner) > self.height(outer) {
                let left = self.turned_left(left);
                self.set_sides(top, left, right);
            }
            return self.turned_right(top);
        }
        if on_right > on_left + 1 {
            let slot = self.slots.get(right);
            let (inner, outer) = (slot.left, slot.right);
            if self.height(inner) > self.height(outer) {
                let right = self.turned_right(right);
                self.set_sides(top, left, right);
            }
            return self.turned_left(top);
        }
        top
    }

    /// The left one becomes the top.
    fn turned_right(&mut self, top: u32) -> u32 {
        let slot = self.slots.get(top);
        let (left, right) = (slot.left, slot.right);
        let slot = self.slots.get(left);
        let (outer, inner) = (slot.left, slot.right);
        self.set_sides(top, inner, right);
        self.set_sides(left, outer, top);
        left
    }

    /// The right one becomes the top.
    fn turned_left(&mut self, top: u32) -> u32 {
        let slot = self.slots.get(top);
        let (left, right) = (slot.left, slot.right);
        let slot = self.slots.get(right);
        let (inner, outer) = (slot.left, slot.right);
        self.set_sides(top, left, inner);
        self.set_sides(right, top, outer);
        right
    }

    fn height(&self, node: u32) -> u8 {
        match node {
            NONE => 0,
            node => self.slots.get(node).height,
        }
    }

    /// Sets what is below a sibling, and so its height. What stays as it is, is not touched: it may be shared.
    fn set_sides(&mut self, node: u32, left: u32, right: u32) {
        let height = 1 + self.height(left).max(self.height(right));
        let slot = self.slots.get(node);
        if (slot.left, slot.right, slot.height) != (left, right, height)
            && let Some(slot) = self.slots.get_mut(node)
        {
            slot.left = left;
            slot.right = right;
            slot.height = height;
        }
    }
}
