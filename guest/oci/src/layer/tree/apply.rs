//! Putting a layer on top of others.

use std::collections::btree_map::Entry as Slot;

use super::{Content, Node, NodeKind, Tree, below};
use crate::layer::{
    Entry, Kind, MAX_NODES, MAX_TREE_BYTES, Metadata, Whiteout,
    name::{self, Name},
};

/// Why a layer cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// More than [`MAX_NODES`], or names and attributes of more than [`MAX_TREE_BYTES`].
    #[error(
        "the file system has more than {MAX_NODES} entries, or names and attributes of more than {MAX_TREE_BYTES} bytes"
    )]
    TooLarge,
    /// A hard link to what is not there, or is a directory.
    #[error("entry {path:?} is a hard link to {target:?}, which is no file of this layer or below")]
    DanglingLink {
        /// The link.
        path: String,
        /// Its target.
        target: String,
    },
}

impl Tree {
    /// Puts a layer on top. `entries` are all of its entries in their order, whiteouts included, each with the offset of
    /// its content. Whiteouts count first, wherever they stand. A directory over a directory changes its metadata;
    /// anything else replaces what was there, with all below it. Missing parents, and parents that are no directories,
    /// become directories. The entry of the root (empty name) sets its metadata.
    ///
    /// A hard link is the file its target is by then, with all its metadata. Whatever else has a name but directories
    /// may be linked to as well; that is a copy.
    ///
    /// # Errors
    /// [`TreeError`]; the tree is of no use then.
    pub fn apply(
        &mut self,
        layer: u32,
        entries: impl IntoIterator<Item = (Entry, u64)>,
    ) -> Result<(), TreeError> {
        // Nothing of this layer is there yet, so that whiteouts can be done as they come.
        let entries = entries.into_iter().filter(|(entry, _)| {
            let whiteout = entry.whiteout();
            if let Some(whiteout) = whiteout {
                self.white_out(&entry.path, whiteout);
            }
            whiteout.is_none()
        });
        let (mut count, mut weight) = (0, 0);
        let entries = entries.take_while(|(entry, _)| {
            count += 1;
            weight += entry.weight();
            count <= MAX_NODES && weight <= MAX_TREE_BYTES
        });
        let entries: Vec<_> = entries.collect();
        if count > MAX_NODES || weight > MAX_TREE_BYTES {
            return Err(TreeError::TooLarge);
        }
        self.work = 0;
        for (entry, offset) in entries {
            self.put(layer, entry, offset)?;
        }
        Ok(())
    }

    fn white_out(&mut self, path: &[u8], whiteout: Whiteout<'_>) {
        let directory = name::parent(path).unwrap_or_default();
        match whiteout {
            Whiteout::Name(b"") => {}
            Whiteout::Name(name) => {
                let mut path = directory.to_vec();
                name::push(&mut path, name);
                self.remove(&path, |_| true);
            }
            Whiteout::Opaque => self.remove(directory, |name| name != directory),
        }
    }

    /// Takes away what is at and below a name, as far as it is chosen.
    fn remove(&mut self, path: &[u8], chosen: impl Fn(&[u8]) -> bool) {
        let removed = self
            .nodes
            .extract_if(below(path), |name, _| chosen(name.as_bytes()));
        for (name, node) in removed {
            self.weight -= name.as_bytes().len() + node.weight();
        }
    }

    fn put(&mut self, layer: u32, entry: Entry, offset: u64) -> Result<(), TreeError> {
        let Entry {
            path,
            kind,
            metadata,
        } = entry;
        // The root cannot be anything else.
        if path.is_empty() && kind != Kind::Directory {
            return Ok(());
        }
        self.make_parents(&path)?;
        let (kind, metadata) = self.content(layer, offset, &path, kind, metadata)?;
        let node = Node {
            kind,
            metadata,
            layer: Some(layer),
        };
        self.insert(path, node)
    }

    /// What an entry is here, and its metadata.
    fn content(
        &mut self,
        layer: u32,
        offset: u64,
        path: &[u8],
        kind: Kind,
        metadata: Metadata,
    ) -> Result<(NodeKind, Metadata), TreeError> {
        let kind = match kind {
            Kind::File(size) => NodeKind::File {
                content: Content {
                    layer,
                    offset,
                    size,
                },
                link: None,
            },
            Kind::Directory => NodeKind::Directory,
            Kind::Symlink(target) => NodeKind::Symlink(target),
            Kind::HardLink(target) => return self.link(path, &target),
            Kind::CharacterDevice(major, minor) => NodeKind::CharacterDevice(major, minor),
            Kind::BlockDevice(major, minor) => NodeKind::BlockDevice(major, minor),
            Kind::Fifo => NodeKind::Fifo,
        };
        Ok((kind, metadata))
    }

    /// One more name for `target`.
    fn link(&mut self, path: &[u8], target: &[u8]) -> Result<(NodeKind, Metadata), TreeError> {
        let lossy = |name| String::from_utf8_lossy(name).into_owned();
        let node = self.nodes.get_mut(&Name::new(target));
        let node = node.filter(|node| !node.is_directory());
        let node = node.ok_or_else(|| TreeError::DanglingLink {
            path: lossy(path),
            target: lossy(target),
        })?;
        if let NodeKind::File { link, .. } = &mut node.kind
            && link.is_none()
        {
            *link = Some(self.links);
            self.links = self.links.checked_add(1).ok_or(TreeError::TooLarge)?;
        }
        Ok((node.kind.clone(), node.metadata.clone()))
    }

    /// Makes what is above a name directories.
    fn make_parents(&mut self, path: &[u8]) -> Result<(), TreeError> {
        let mut missing = Vec::new();
        let mut next = name::parent(path);
        while let Some(parent) = next {
            // What is above a directory are directories.
            if self.get(parent).is_some_and(Node::is_directory) {
                break;
            }
            missing.push(parent);
            next = name::parent(parent);
        }
        for parent in missing.into_iter().rev() {
            self.insert(parent.to_vec(), Node::directory())?;
        }
        Ok(())
    }

    /// Sets what a name is; what is below it stays only if it is a directory.
    fn insert(&mut self, path: Vec<u8>, node: Node) -> Result<(), TreeError> {
        let length = path.len();
        let weight = length + node.weight();
        self.weight += weight;
        self.work += weight;
        let is_directory = node.is_directory();
        match self.nodes.entry(Name::from(path)) {
            Slot::Vacant(slot) => {
                slot.insert(node);
            }
            Slot::Occupied(mut slot) => {
                let old = slot.insert(node);
                self.weight -= length + old.weight();
                if old.is_directory() && !is_directory {
                    let path = slot.key().clone();
                    self.remove(path.as_bytes(), |name| name != path.as_bytes());
                }
            }
        }
        // The work counts for layers that replace deep directories by a file, and that by the directories, and so on.
        let is_heavy = self.weight.max(self.work) > MAX_TREE_BYTES;
        match is_heavy || self.nodes.len() > MAX_NODES {
            true => Err(TreeError::TooLarge),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> (Entry, u64) {
        let entry = Entry {
            path: path.into(),
            kind: Kind::File(0),
            metadata: Metadata::default(),
        };
        (entry, 0)
    }

    #[test]
    fn nodes_are_bounded() {
        let mut tree = Tree::new();
        // Put in one by one they take a while. One more may come.
        let names = (1..MAX_NODES - 1).map(|number| format!("{number:06}").into_bytes());
        let names = std::iter::once(Vec::new()).chain(names);
        let nodes = names.map(|name| (Name::from(name), Node::directory()));
        tree.nodes = nodes.collect();
        assert_eq!(tree.apply(0, [file("a")]), Ok(()));
        assert_eq!(tree.len(), MAX_NODES);
        assert_eq!(tree.apply(1, [file("a")]), Ok(()));
        assert_eq!(tree.apply(2, [file("a/b")]), Err(TreeError::TooLarge));
        // So are the entries of one layer, whatever they are, before anything is done with them.
        let entries = std::iter::repeat(file("a"));
        let applied = Tree::new().apply(0, entries);
        assert_eq!(applied, Err(TreeError::TooLarge));
    }
}
