//! Part of a file system as a tar.
//!
//! Directories come first, then files in the order they lie in their layers, so that each
//! layer is read once from its start, then links and devices, hard links last: whatever
//! extracts it finds the parent, and the file of a hard link, before it.

use std::collections::HashMap;

use strata_oci::{
    archive::{END, padding},
    layer::{Content, Entry, Kind, Metadata, Node, NodeKind, WHITEOUT_PREFIX, header},
};

use super::{
    content::{Contents, Gathering},
    place::{is_below, join},
    root::Root,
};
use crate::{ArchiveSink, ContentProgress, Event, Phase, Progress, Result, Store};

/// Bytes between two records of progress.
pub(super) const PROGRESS_BYTES: u64 = 4 << 20;

/// A node and its clean name.
type Named<'a> = (&'a [u8], &'a Node);

/// How names of the tree become names of the tar.
pub(super) enum Naming<'a> {
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
pub(super) struct Packing<'a> {
    naming: Naming<'a>,
    directories: Vec<Named<'a>>,
    files: Vec<(Content, Named<'a>)>,
    others: Vec<Named<'a>>,
    /// Other names of files, and the name that has the content.
    links: Vec<(Named<'a>, &'a [u8])>,
}

impl<'a> Packing<'a> {
    /// Everything that `naming` names.
    pub(super) fn new(root: &'a Root, naming: Naming<'a>) -> Self {
        let mut packing = Self {
            naming,
            directories: Vec::new(),
            files: Vec::new(),
            others: Vec::new(),
            links: Vec::new(),
        };
        let mut first: HashMap<u32, &'a [u8]> = HashMap::new();
        let top = packing.naming.top().to_vec();
        for (path, node) in root.tree.walk(&top) {
            let named = (path, node);
            match &node.kind {
                NodeKind::Directory => packing.directories.push(named),
                NodeKind::File { content, link } => {
                    let holder = link.and_then(|link| first.get(&link).copied());
                    match holder {
                        Some(holder) => packing.links.push((named, holder)),
                        None => {
                            first.extend(link.map(|link| (link, path)));
                            packing.files.push((*content, named));
                        }
                    }
                }
                _ => packing.others.push(named),
            }
        }
        packing
            .files
            .sort_unstable_by_key(|(content, (path, _))| (*content, *path));
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
    pub(super) async fn write<S: Store, W: ArchiveSink<S::Body>>(
        &self,
        store: &S,
        root: &Root,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        let total = self.size();
        let mut done = 0;
        let mut reported = 0;
        let report = |phase, current| {
            progress.report(Event::Content(ContentProgress {
                phase,
                current,
                total,
            }));
        };
        let mut sink = Gathering::new(sink);
        for named in &self.directories {
            if let Some(bytes) = self.header(*named, Kind::Directory) {
                sink.write(bytes).await?;
            }
        }
        let mut contents = Contents::new(store, root);
        for (content, named) in &self.files {
            let Some(bytes) = self.header(*named, Kind::File(content.size)) else {
                continue;
            };
            sink.write(bytes).await?;
            contents.copy(*content, &mut sink).await?;
            sink.write(vec![0; padding(content.size)]).await?;
            done += content.size;
            if done - reported >= PROGRESS_BYTES {
                report(Phase::Uploading, done);
                reported = done;
            }
        }
        for named in &self.others {
            let kind = kind(&named.1.kind);
            if let Some(bytes) = kind.and_then(|kind| self.header(*named, kind)) {
                sink.write(bytes).await?;
            }
        }
        for (named, holder) in &self.links {
            let kind = self.naming.name(holder).map(Kind::HardLink);
            if let Some(bytes) = kind.and_then(|kind| self.header(*named, kind)) {
                sink.write(bytes).await?;
            }
        }
        sink.write(END.to_vec()).await?;
        sink.flush().await?;
        report(Phase::Uploaded, done);
        Ok(())
    }

    fn header(&self, (path, node): Named<'_>, kind: Kind) -> Option<Vec<u8>> {
        Some(header(&Entry {
            path: self.naming.name(path)?,
            kind,
            metadata: node.metadata.clone(),
        }))
    }
}

/// What a node is as an entry; `None` for files, which have content.
pub(super) fn kind(node: &NodeKind) -> Option<Kind> {
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
pub(super) fn whiteout(directory: &[u8], name: &[u8]) -> Entry {
    let mut last = WHITEOUT_PREFIX.to_vec();
    last.extend_from_slice(name);
    Entry {
        path: join(directory, &last),
        kind: Kind::File(0),
        metadata: Metadata::default(),
    }
}
