//! Putting layers on top of each other.

use super::{
    NodeId, Tree,
    arena::{NONE, Slot, Tag, Value},
    extra,
};
use crate::layer::{
    Entry, Kind, MAX_NODES, MAX_STEPS, MAX_TREE_BYTES, Metadata,
    name::{components, split},
};

/// Bytes left behind that are kept rather than made room of.
const MAX_LEFT_BEHIND: usize = 8 << 20;

/// Why a layer cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// More than [`MAX_NODES`], or names and attributes of more than [`MAX_TREE_BYTES`].
    #[error(
        "the file system has more than {MAX_NODES} entries, or names and attributes of more than {MAX_TREE_BYTES} bytes"
    )]
    TooLarge,
    /// More than [`MAX_STEPS`].
    #[error("the names of a layer lead through more than {MAX_STEPS} directories")]
    TooDeep,
    /// A hard link to what is not there, or is a directory.
    #[error("entry {path:?} is a hard link to {target:?}, which is no file of this layer or below")]
    DanglingLink {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
}

/// What a layer cost so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Its number.
    layer: Option<u32>,
    /// Directories gone through.
    steps: usize,
    /// The directory of the last entry: many follow each other in one.
    pub(super) last: Option<(Vec<u8>, u32)>,
}

impl Tree {
    /// Puts a layer on top: [`Tree::hide`] for each of its entries, then [`Tree::put`].
    ///
    /// # Errors
    /// As [`Tree::put`]; the tree is of no use then.
    pub fn apply<I>(&mut self, layer: u32, entries: I) -> Result<(), TreeError>
    where
        I: IntoIterator<Item = (Entry, u64)>,
        I::IntoIter: Clone,
    {
        let entries = entries.into_iter();
        for (entry, _) in entries.clone() {
            self.hide(&entry);
        }
        for (entry, offset) in entries {
            self.put(layer, &entry, offset)?;
        }
        Ok(())
    }

    /// Puts an entry of a layer in its place; whiteouts are passed over. `offset` is where its content begins. A
    /// directory over a directory changes its metadata; anything else replaces what was there, with all below it.
    /// Missing parents, and parents that are no directories, become directories. The entry of the root (empty name) sets
    /// its metadata.
    ///
    /// A hard link is the file its target is by then, with all its metadata. Whatever else has a name but directories
    /// may be linked to as well; that is a copy.
    ///
    /// # Errors
    /// [`TreeError`]; the tree is of no use then.
    pub fn put(&mut self, layer: u32, entry: &Entry, offset: u64) -> Result<(), TreeError> {
        if self.work.layer != Some(layer) {
            self.work = Work {
                layer: Some(layer),
                ..Work::default()
            };
        }
        // The root cannot be anything else.
        let is_other_root = entry.path.is_empty() && entry.kind != Kind::Directory;
        if is_other_root || entry.whiteout().is_some() {
            return Ok(());
        }
        let (parent, name) = split(&entry.path);
        let directory = self.directory(parent)?;
        let value = self.value(layer, offset, entry)?;
        if name.is_empty() {
            self.set(directory, value);
        } else {
            self.name(directory, name, value);
        }
        self.check()
    }

    /// Tells whether it is within the bounds, and makes room.
    fn check(&mut self) -> Result<(), TreeError> {
        if self.slots.len() > MAX_NODES || self.weight > MAX_TREE_BYTES {
            return Err(TreeError::TooLarge);
        }
        if self.bytes.len() > self.weight + MAX_LEFT_BEHIND {
            self.make_room();
        }
        Ok(())
    }

    /// The directory with this clean name, made if it is missing.
    fn directory(&mut self, path: &[u8]) -> Result<u32, TreeError> {
        if let Some((last, directory)) = &self.work.last
            && last == path
        {
            return Ok(*directory);
        }
        let mut at = NodeId::ROOT.0;
        for part in components(path) {
            self.work.steps += 1;
            if self.work.steps > MAX_STEPS {
                return Err(TreeError::TooDeep);
            }
            at = match self.child(at, part) {
                Some(node) if self.is_directory(NodeId(node)) => node,
                _ => {
                    let node = self.name(at, part, Value::directory());
                    self.check()?;
                    node
                }
            };
        }
        self.work.last = Some((path.to_vec(), at));
        Ok(at)
    }

    /// What an entry is here.
    fn value(&mut self, layer: u32, offset: u64, entry: &Entry) -> Result<Value, TreeError> {
        let mut value = Value {
            mode: (entry.metadata.mode & 0o7777) as u16,
            mtime: entry.metadata.mtime,
            layer,
            ..Value::directory()
        };
        let mut sparse = None;
        match &entry.kind {
            Kind::HardLink(target) => return self.link(layer, &entry.path, target),
            Kind::Directory => {}
            Kind::File(size) => value.set_content(layer, offset, *size),
            Kind::Sparse(found) => {
                value.set_content(layer, offset, found.size);
                sparse = Some(found);
            }
            Kind::Symlink(target) => {
                value.kind = Tag::Symlink;
                value.first = self.bytes.add(target).into();
                value.second = target.len() as u64;
            }
            Kind::CharacterDevice(major, minor) => {
                value.set_device(Tag::CharacterDevice, *major, *minor);
            }
            Kind::BlockDevice(major, minor) => value.set_device(Tag::BlockDevice, *major, *minor),
            Kind::Fifo => value.kind = Tag::Fifo,
        }
        let Metadata { uid, gid, .. } = entry.metadata;
        value.uid = u32::try_from(uid).unwrap_or(NONE);
        value.gid = u32::try_from(gid).unwrap_or(NONE);
        let extra = extra::encode(&entry.metadata, sparse);
        value.extra_at = self.bytes.add(&extra);
        // Extension headers, where it comes from, are bounded far below.
        value.extra_length = u32::try_from(extra.len()).map_err(|_| TreeError::TooLarge)?;
        Ok(value)
    }

    /// One more name for `target`.
    fn link(&mut self, layer: u32, path: &[u8], target: &[u8]) -> Result<Value, TreeError> {
        let lossy = |name| String::from_utf8_lossy(name).into_owned();
        let node = self.find(target);
        let node = node.filter(|node| !self.is_directory(*node));
        let node = node.ok_or_else(|| TreeError::DanglingLink {
            path: lossy(path),
            target: lossy(target),
        })?;
        self.work.steps += components(target).count();
        let mut value = self.slots.get(node.0).value;
        if value.kind == Tag::File && value.link == NONE {
            value.link = self.links;
            self.links = self.links.checked_add(1).ok_or(TreeError::TooLarge)?;
            if let Some(slot) = self.slots.get_mut(node.0) {
                slot.value.link = value.link;
            }
        }
        value.layer = layer;
        Ok(value)
    }

    /// Sets what has a name in a directory.
    fn name(&mut self, directory: u32, name: &[u8], value: Value) -> u32 {
        if let Some(node) = self.child(directory, name) {
            self.set(node, value);
            return node;
        }
        let node = self.slots.add(Slot {
            name_at: self.bytes.add(name),
            // Names are bounded far below.
            name_length: u16::try_from(name.len()).unwrap_or(u16::MAX),
            parent: directory,
            left: NONE,
            right: NONE,
            children: NONE,
            height: 1,
            value,
        });
        self.weight += name.len() + value.weight();
        self.attach(node);
        node
    }

    /// Sets what a node is; what is below it stays only if it is a directory.
    fn set(&mut self, node: u32, value: Value) {
        let old = self.slots.get(node).value;
        self.weight = (self.weight + value.weight()).saturating_sub(old.weight());
        if value.kind != Tag::Directory {
            self.clear(node);
            self.work.last = None;
        }
        if let Some(slot) = self.slots.get_mut(node) {
            slot.value = value;
        }
    }
}

impl Value {
    fn set_content(&mut self, layer: u32, offset: u64, size: u64) {
        self.kind = Tag::File;
        self.content_layer = layer;
        self.first = offset;
        self.second = size;
    }

    fn set_device(&mut self, kind: Tag, major: u32, minor: u32) {
        self.kind = kind;
        self.first = major.into();
        self.second = minor.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Entry {
        Entry {
            path: path.into(),
            kind: Kind::File(0),
            metadata: Metadata::default(),
        }
    }

    #[test]
    fn deep_directories_made_over_and_over_are_bounded() {
        let deep = "a/".repeat(100) + "a";
        let mut tree = Tree::new();
        // As many take a while.
        let nearly = Work {
            layer: Some(0),
            steps: MAX_STEPS - 200,
            last: None,
        };
        tree.work = nearly.clone();
        assert_eq!(tree.put(0, &file(&deep), 0), Ok(()));
        // Entries of one directory lead there once.
        for number in 0..300 {
            assert_eq!(tree.put(0, &file(&format!("{deep}{number}")), 0), Ok(()));
        }
        assert_eq!(tree.put(0, &file("a"), 0), Ok(()));
        assert_eq!(tree.put(0, &file(&deep), 0), Ok(()));
        assert_eq!(tree.put(0, &file("a"), 0), Ok(()));
        assert_eq!(tree.put(0, &file(&deep), 0), Err(TreeError::TooDeep));
        // Another layer begins anew.
        tree.work = nearly;
        assert_eq!(tree.put(1, &file(&deep), 0), Ok(()));
        assert_eq!(tree.work.steps, 100);
    }
}
