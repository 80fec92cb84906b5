//! Part of a file system as a tar.
//!
//! Directories come first, then files in the order they lie in their layers, so that each
//! layer is read once from its start, then links and devices, hard links last: whatever
//! extracts it finds the parent, and the file of a hard link, before it.

use std::collections::HashMap;

use strata_oci::{
    archive::{END, padding},
    layer::{Content, Entry, Kind, Metadata, NodeId, NodeKind, WHITEOUT_PREFIX, header},
};

use super::{
    content::{Contents, Gathering},
    path::{is_below, join},
    root::Root,
};
use crate::{ArchiveSink, ContentProgress, Event, Phase, Progress, Result, Store, pace::Pace};

/// Bytes between two records of progress.
pub(crate) const PROGRESS_BYTES: u64 = 4 << 20;

/// How names of the tree become names of the tar.
pub(crate) enum Naming<'a> {
    /// As they are; the root itself is left out.
    Relative,
    /// This node and what is below it, under the name given. The root has the empty name:
    /// then all begin with a slash, as dockerd has it and its client expects.
    Renamed {
        /// Clean name of the node.
        top: &'a [u8],
        /// What it is called.
        name: &'a [u8],
    },
}

impl Naming<'_> {
    fn top(&self) -> &[u8] {
        match self {
            Self::Relative => b"",
            Self::Renamed { top, .. } => top,
        }
    }

    /// The name of `path`, which is `top` or below it; `None` if it is left out.
    fn name(&self, path: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Relative => (!path.is_empty()).then(|| path.to_vec()),
            // What comes out is `/./`: a header of nothing but a slash cannot be had.
            Self::Renamed { top, name: b"" } if path == *top => Some(b"/.".to_vec()),
            Self::Renamed { top, name } => {
                let mut named = name.to_vec();
                if is_below(path, top) {
                    named.push(b'/');
                    let rest = path.get(top.len()..).unwrap_or_default();
                    named.extend_from_slice(rest.strip_prefix(b"/").unwrap_or(rest));
                }
                Some(named)
            }
        }
    }
}

/// What goes into a tar.
pub(crate) struct Packing<'a> {
    root: &'a Root,
    naming: Naming<'a>,
    directories: Vec<NodeId>,
    files: Vec<(Content, NodeId)>,
    others: Vec<NodeId>,
    /// Other names of files, and the name that has the content.
    links: Vec<(NodeId, NodeId)>,
}

impl<'a> Packing<'a> {
    /// Everything that `naming` names.
    pub(crate) async fn new(root: &'a Root, naming: Naming<'a>) -> Self {
        let mut packing = Self {
            root,
            naming,
            directories: Vec::new(),
            files: Vec::new(),
            others: Vec::new(),
            links: Vec::new(),
        };
        let tree = &root.tree;
        let mut first: HashMap<u32, NodeId> = HashMap::new();
        let mut pace = Pace::default();
        for node in tree.walk(packing.naming.top()) {
            pace.steps(1).await;
            match tree.content(node) {
                None if tree.is_directory(node) => packing.directories.push(node),
                None => packing.others.push(node),
                Some((content, link)) => {
                    let holder = link.and_then(|link| first.get(&link).copied());
                    match holder {
                        Some(holder) => packing.links.push((node, holder)),
                        None => {
                            first.extend(link.map(|link| (link, node)));
                            packing.files.push((content, node));
                        }
                    }
                }
            }
        }
        // Names stay in their order where content does not tell.
        packing.files.sort_by_key(|(content, _)| *content);
        packing
    }

    /// Bytes of all files.
    fn size(&self) -> u64 {
        let sizes = self.files.iter().map(|(content, _)| content.size);
        sizes.fold(0, u64::saturating_add)
    }

    /// Writes the tar.
    ///
    /// # Errors
    /// As the store's reads and the sink.
    pub(crate) async fn write<S: Store, W: ArchiveSink<S::Body>>(
        &self,
        store: &S,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        let total = self.size();
        let mut done: u64 = 0;
        let mut reported = 0;
        let report = |phase, current| {
            progress.report(Event::Content(ContentProgress {
                phase,
                current,
                total,
            }));
        };
        let mut sink = Gathering::new(sink);
        for node in &self.directories {
            self.write_entry(*node, &mut sink).await?;
        }
        let mut contents = Contents::new(store, self.root);
        for (content, node) in &self.files {
            let Some(bytes) = self.header(*node, Some(Kind::File(content.size))) else {
                continue;
            };
            sink.write(bytes).await?;
            let kind = self.root.tree.node(*node).kind;
            let sparse = match &kind {
                NodeKind::File { sparse, .. } => sparse.as_ref(),
                _ => None,
            };
            contents.copy(*content, sparse, &mut sink).await?;
            sink.write(vec![0; padding(content.size)]).await?;
            done = done.saturating_add(content.size);
            if done.saturating_sub(reported) >= PROGRESS_BYTES {
                report(Phase::Uploading, done);
                reported = done;
            }
        }
        for node in &self.others {
            self.write_entry(*node, &mut sink).await?;
        }
        for (node, holder) in &self.links {
            let holder = self.naming.name(&self.root.tree.path(*holder));
            if let Some(bytes) = self.header(*node, holder.map(Kind::HardLink)) {
                sink.write(bytes).await?;
            }
        }
        sink.write(END.to_vec()).await?;
        sink.flush().await?;
        report(Phase::Uploaded, done);
        Ok(())
    }

    /// Writes what has no content.
    async fn write_entry<B, W: ArchiveSink<B>>(
        &self,
        node: NodeId,
        sink: &mut Gathering<'_, W>,
    ) -> Result<()> {
        let kind = kind(&self.root.tree.node(node).kind);
        match self.header(node, kind) {
            Some(bytes) => sink.write(bytes).await,
            None => Ok(()),
        }
    }

    /// The header of a node as this kind of entry; `None` if there is none, or no name.
    fn header(&self, node: NodeId, kind: Option<Kind>) -> Option<Vec<u8>> {
        let tree = &self.root.tree;
        Some(header(&Entry {
            path: self.naming.name(&tree.path(node))?,
            kind: kind?,
            metadata: tree.node(node).metadata,
        }))
    }
}

/// What a node is as an entry; `None` for files, which have content.
pub(crate) fn kind(node: &NodeKind) -> Option<Kind> {
    Some(match node {
        NodeKind::File { .. } => return None,
        NodeKind::Directory => Kind::Directory,
        NodeKind::Symlink(target) => Kind::Symlink(target.clone()),
        NodeKind::CharacterDevice(major, minor) => Kind::CharacterDevice(*major, *minor),
        NodeKind::BlockDevice(major, minor) => Kind::BlockDevice(*major, *minor),
        NodeKind::Fifo => Kind::Fifo,
    })
}

/// The entry that removes `name` from what layers below have in a directory.
pub(crate) fn whiteout(directory: &[u8], name: &[u8]) -> Entry {
    let mut last = WHITEOUT_PREFIX.to_vec();
    last.extend_from_slice(name);
    Entry {
        path: join(directory, &last),
        kind: Kind::File(0),
        metadata: Metadata::default(),
    }
}
