//! Random layers, applied by [`Tree`] and by a model that keeps names as lists of components and looks at all of them
//! each time.

use std::collections::BTreeMap;

use super::{Random, entry};
use crate::layer::{Content, Entry, Kind, Metadata, NodeKind, Tree, Whiteout};

type Path = Vec<Vec<u8>>;

/// A node of the model.
#[derive(Clone)]
struct Item {
    /// Of a file its content; links are left out.
    kind: NodeKind,
    metadata: Metadata,
    layer: Option<u32>,
    /// The same for all names of one file.
    inode: usize,
}

#[derive(Clone, Default)]
struct Model {
    items: BTreeMap<Path, Item>,
    inodes: usize,
}

fn components(path: &[u8]) -> Path {
    let parts = path.split(|byte| *byte == b'/');
    parts
        .filter(|part| !part.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

impl Model {
    fn new() -> Self {
        let mut model = Self::default();
        model.implied(&vec![]);
        model
    }

    fn implied(&mut self, path: &Path) {
        let metadata = Metadata {
            mode: 0o755,
            ..Metadata::default()
        };
        self.set(path.clone(), NodeKind::Directory, metadata, None);
    }

    fn set(&mut self, path: Path, kind: NodeKind, metadata: Metadata, layer: Option<u32>) {
        self.inodes += 1;
        let item = Item {
            kind,
            metadata,
            layer,
            inode: self.inodes,
        };
        self.items.insert(path, item);
    }

    fn is_directory(&self, path: &Path) -> bool {
        let item = self.items.get(path);
        item.is_some_and(|item| item.kind == NodeKind::Directory)
    }

    /// Whether it could be applied.
    fn apply(&mut self, layer: u32, entries: &[(Entry, u64)]) -> bool {
        for (entry, _) in entries {
            let mut at = components(&entry.path);
            match entry.whiteout() {
                None => {}
                Some(Whiteout::Name(name)) => {
                    at.pop();
                    at.push(name.to_vec());
                    self.items.retain(|path, _| !path.starts_with(&at));
                }
                Some(Whiteout::Opaque) => {
                    at.pop();
                    self.items
                        .retain(|path, _| *path == at || !path.starts_with(&at));
                }
            }
        }
        let entries = entries.iter();
        let mut kept = entries.filter(|(entry, _)| entry.whiteout().is_none());
        kept.all(|(entry, offset)| self.put(layer, entry, *offset))
    }

    fn put(&mut self, layer: u32, entry: &Entry, offset: u64) -> bool {
        let path = components(&entry.path);
        for depth in 0..path.len() {
            let parent = path[..depth].to_vec();
            if !self.is_directory(&parent) {
                self.implied(&parent);
            }
        }
        let kind = match &entry.kind {
            Kind::File(size) => {
                let content = Content {
                    layer,
                    offset,
                    size: *size,
                };
                NodeKind::File {
                    content,
                    link: None,
                    sparse: None,
                }
            }
            Kind::Sparse(_) => unreachable!("none is made here"),
            Kind::Directory => NodeKind::Directory,
            Kind::Symlink(target) => NodeKind::Symlink(target.clone()),
            Kind::CharacterDevice(major, minor) => NodeKind::CharacterDevice(*major, *minor),
            Kind::BlockDevice(major, minor) => NodeKind::BlockDevice(*major, *minor),
            Kind::Fifo => NodeKind::Fifo,
            Kind::HardLink(target) => {
                let item = self.items.get(&components(target));
                let item = item.filter(|item| item.kind != NodeKind::Directory);
                let Some(mut item) = item.cloned() else {
                    return false;
                };
                item.layer = Some(layer);
                self.remove_below(&path);
                self.items.insert(path, item);
                return true;
            }
        };
        if kind != NodeKind::Directory {
            self.remove_below(&path);
        }
        self.set(path, kind, entry.metadata.clone(), Some(layer));
        true
    }

    fn remove_below(&mut self, above: &Path) {
        self.items.retain(|path, _| !path.starts_with(above));
    }
}

/// A name of few that can be, so that they meet.
fn name(random: &mut Random) -> String {
    const PARTS: [&str; 7] = ["a", "a.", "a-b", "a b", "b", "c", "a0"];
    let parts: Vec<_> = (0..1 + random.below(3))
        .map(|_| PARTS[random.below(PARTS.len())])
        .collect();
    parts.join("/")
}

fn any_entry(random: &mut Random) -> Entry {
    let path = name(random);
    let (parent, last) = path.rsplit_once('/').unwrap_or(("", &path));
    let beside = |name: String| match parent {
        "" => name,
        parent => format!("{parent}/{name}"),
    };
    let mut entry = match random.below(16) {
        0..4 => entry(&path, Kind::File(random.below(9) as u64)),
        4..8 => entry(&path, Kind::Directory),
        8 => entry(&path, Kind::Symlink(name(random).into())),
        9..12 => entry(&path, Kind::HardLink(name(random).into())),
        12 => entry(&path, Kind::Fifo),
        13 => entry(&beside(".wh..wh..opq".to_owned()), Kind::File(0)),
        _ => entry(&beside(format!(".wh.{last}")), Kind::File(0)),
    };
    entry.metadata.uid = random.below(100) as u64;
    entry
}

/// Everything that can be compared as it is, and the groups of names of one file.
fn check(tree: &Tree, model: &Model, case: u64) {
    let walked: Vec<_> = tree.walk(b"").collect();
    assert_eq!(tree.len(), walked.len());
    assert_eq!(walked.len(), model.items.len(), "{case}");
    let mut links: BTreeMap<u32, usize> = BTreeMap::new();
    let mut inodes: BTreeMap<usize, Option<u32>> = BTreeMap::new();
    for (id, (path, item)) in walked.into_iter().zip(&model.items) {
        let name = tree.path(id);
        let node = tree.node(id);
        assert_eq!(components(&name), *path, "{case}");
        assert_eq!(tree.find(&name), Some(id));
        assert_eq!(node.metadata, item.metadata, "{case} {path:?}");
        assert_eq!(node.layer, item.layer, "{case} {path:?}");
        let mut kind = node.kind;
        if let NodeKind::File { link, .. } = &mut kind {
            let link = link.take();
            let has_others = inodes.insert(item.inode, link);
            assert!(has_others.is_none_or(|other| link.is_some() && other == link));
            if let Some(link) = link {
                assert_eq!(*links.entry(link).or_insert(item.inode), item.inode);
            }
        }
        assert_eq!(kind, item.kind, "{case} {path:?}");
    }
}

#[test]
fn layers_do_what_they_do_to_a_model() {
    let (mut applied, mut refused) = (0, 0);
    for case in 0..4000 {
        let mut random = Random::new(case);
        let (mut tree, mut model) = (Tree::new(), Model::new());
        for layer in 0..4 {
            let count = random.below(10) as u64;
            let entries: Vec<_> = (0..count).map(|n| (any_entry(&mut random), n)).collect();
            // What a tree was copied from stays as it is.
            let (below, before) = (tree.clone(), model.clone());
            let fits = model.apply(layer, &entries);
            assert_eq!(tree.apply(layer, entries).is_ok(), fits, "{case}");
            check(&below, &before, case);
            if !fits {
                refused += 1;
                break;
            }
            applied += 1;
            check(&tree, &model, case);
        }
    }
    // Both happen often enough to matter.
    assert!(applied > 2000 && refused > 500, "{applied} {refused}");
}
