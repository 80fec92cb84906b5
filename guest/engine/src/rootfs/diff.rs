//! What a container has changed, as a list and as one layer.

use std::collections::HashMap;

use strata_oci::{
    Descriptor,
    layer::{Entry, Kind, NodeId, NodeKind, Order},
};

use super::{
    content::{Contents, Filled, Span, spans, zeros},
    layer::Writer,
    pack::{PROGRESS_BYTES, kind, whiteout},
    path::split,
    root::{Root, gone},
};
use crate::{
    ContentProgress, Engine, Error, Event, Host, LeaseOf, Phase, Progress, Result, Store, Verdict,
    pace::Pace,
};

/// The largest piece the store takes in one call.
const MAX_PIECE: u64 = 1 << 20;

/// What happened to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It was there and is now another.
    Modified,
    /// It was not there.
    Added,
    /// It is gone.
    Deleted,
}

/// A path that differs.
#[derive(Clone, Copy)]
pub(crate) enum Delta {
    /// This node of the image is gone.
    Deleted(NodeId),
    /// This node of the container was not there.
    Added(NodeId),
    /// This node of the container was another.
    Modified(NodeId),
}

impl Delta {
    /// Its clean name.
    pub(crate) fn path(self, image: &Root, container: &Root) -> Vec<u8> {
        match self {
            Self::Deleted(node) => image.tree.path(node),
            Self::Added(node) | Self::Modified(node) => container.tree.path(node),
        }
    }

    /// How it differs.
    pub(crate) fn kind(self) -> ChangeKind {
        match self {
            Self::Deleted(_) => ChangeKind::Deleted,
            Self::Added(_) => ChangeKind::Added,
            Self::Modified(_) => ChangeKind::Modified,
        }
    }

    /// What is there now.
    fn node(self) -> Option<NodeId> {
        match self {
            Self::Deleted(_) => None,
            Self::Added(node) | Self::Modified(node) => Some(node),
        }
    }
}

/// What differs between an image and a container made from it. Of what is deleted only the
/// top is listed; what a file hides in place of a directory is not.
pub(crate) async fn deltas(image: &Root, container: &Root, order: Order) -> Vec<Delta> {
    let mut deltas = Vec::new();
    let mut pace = Pace::default();
    for pair in image.tree.compare(&container.tree, order) {
        pace.steps(1).await;
        match (pair.old, pair.new) {
            (Some(old), None) => deltas.push(Delta::Deleted(old)),
            (None, Some(new)) => deltas.push(Delta::Added(new)),
            (Some(_), Some(new)) if container.is_changed(container.tree.layer(new)) => {
                deltas.push(Delta::Modified(new));
            }
            _ => {}
        }
    }
    deltas
}

/// What to say of damage in what was copied into a container.
pub(crate) fn copies_damaged(reason: &str) -> Error {
    Error::Damaged(format!(
        "what was copied into the container is damaged: {reason}; \
         remove the container, and copy it into a new one"
    ))
}

impl<H: Host> Engine<H> {
    /// Checks the layers a container has beside its image's: under a digest of its own, what was
    /// damaged in them would be damaged no more.
    async fn intact(&self, image: &Root, container: &Root) -> Result<()> {
        let own = container.layers.get(image.layers.len()..);
        for layer in own.unwrap_or_default() {
            match self.store.verify(&layer.digest).await? {
                Verdict::Intact(_) => {}
                Verdict::Absent => return Err(gone(&layer.digest)),
                Verdict::Damaged(reason) => return Err(copies_damaged(&reason)),
            }
        }
        Ok(())
    }

    /// Writes what a container has changed as one layer, the same bytes for the same
    /// changes; `None` if there is nothing.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what was changed is; [`Error::QuotaExceeded`] if holes of files would take too much; as the store's
    /// reads and writes.
    pub(crate) async fn write_diff(
        &self,
        image: &Root,
        container: &Root,
        media_type: &str,
        lease: &LeaseOf<H>,
        progress: &dyn Progress,
    ) -> Result<Option<Descriptor>> {
        let deltas = deltas(image, container, Order::RemovedFirst).await;
        if deltas.is_empty() {
            return Ok(None);
        }
        self.intact(image, container).await?;
        let tree = &container.tree;
        let mut progress = Reports::new(container, &deltas, progress);
        let mut writer = Writer::new(&self.store, lease).await?;
        let mut contents = Contents::new(&self.store, container);
        let mut filled = Filled::default();
        // Hard links to what is not in this layer would lead nowhere where layers are
        // unpacked alone, so the first name here has the content.
        let mut first: HashMap<u32, NodeId> = HashMap::new();
        for delta in &deltas {
            let path = delta.path(image, container);
            let Some(id) = delta.node() else {
                let (directory, name) = split(&path);
                writer.entry(&whiteout(directory, name)).await?;
                continue;
            };
            let node = tree.node(id);
            let mut entry = Entry {
                path,
                kind: Kind::Directory,
                metadata: node.metadata,
            };
            let NodeKind::File {
                content,
                link,
                sparse,
            } = node.kind
            else {
                entry.kind = kind(&node.kind).unwrap_or(Kind::Directory);
                writer.entry(&entry).await?;
                continue;
            };
            if let Some(holder) = link.and_then(|link| first.get(&link)) {
                entry.kind = Kind::HardLink(tree.path(*holder));
                writer.entry(&entry).await?;
                continue;
            }
            first.extend(link.map(|link| (link, id)));
            if let Some(sparse) = &sparse {
                filled.add(sparse)?;
            }
            entry.kind = Kind::File(content.size);
            writer.entry(&entry).await?;
            for span in spans(content, sparse.as_ref()) {
                match span {
                    Span::Zeros(count) => {
                        for piece in zeros(count) {
                            progress.add(piece.len() as u64);
                            writer.write(piece).await?;
                        }
                    }
                    Span::Stored(stored) if stored.size > 0 => {
                        contents.seek(stored).await?;
                        let mut remaining = stored.size;
                        while remaining > 0 {
                            let piece = contents.piece(remaining.min(MAX_PIECE)).await?;
                            remaining = remaining.saturating_sub(piece.len() as u64);
                            progress.add(piece.len() as u64);
                            writer.write(piece).await?;
                        }
                    }
                    Span::Stored(_) => {}
                }
            }
            writer.pad(content.size).await?;
        }
        let (layer, list) = writer.finish(media_type).await?;
        self.keep_list(&layer.digest, &list).await;
        progress.finish();
        Ok(Some(layer))
    }
}

/// Progress of a layer that is made.
struct Reports<'a> {
    progress: &'a dyn Progress,
    current: u64,
    reported: u64,
    total: u64,
}

impl<'a> Reports<'a> {
    fn new(container: &Root, deltas: &[Delta], progress: &'a dyn Progress) -> Self {
        let nodes = deltas.iter().filter_map(|delta| delta.node());
        let contents = nodes.filter_map(|node| container.tree.content(node));
        let sizes = contents.map(|(content, _)| content.size);
        let total = sizes.fold(0, u64::saturating_add);
        let reports = Self {
            progress,
            current: 0,
            reported: 0,
            total,
        };
        reports.report(Phase::Queued);
        reports
    }

    fn add(&mut self, bytes: u64) {
        self.current = self.current.saturating_add(bytes);
        if self.current.saturating_sub(self.reported) >= PROGRESS_BYTES {
            self.reported = self.current;
            self.report(Phase::Downloading);
        }
    }

    fn finish(&mut self) {
        // Hard links were counted as often as they are.
        self.total = self.current;
        self.report(Phase::Downloaded);
    }

    fn report(&self, phase: Phase) {
        self.progress.report(Event::Content(ContentProgress {
            phase,
            current: self.current,
            total: self.total,
        }));
    }
}
