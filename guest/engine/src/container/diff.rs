//! What a container has changed, as a list and as one layer.

use std::{cmp::Ordering, collections::HashMap};

use strata_oci::{
    Descriptor,
    layer::{Entry, Kind, Node, NodeKind},
};

use super::{
    content::Contents,
    model::ChangeKind,
    pack::{PROGRESS_BYTES, kind, whiteout},
    place::{is_below, split},
    root::Root,
    writer::Writer,
};
use crate::{ContentProgress, Engine, Event, Phase, Progress, Result, Store};

/// The largest piece the store takes in one call.
const MAX_PIECE: u64 = 1 << 20;

/// A path that differs.
pub(super) struct Delta<'a> {
    /// Its clean name.
    pub(super) path: &'a [u8],
    /// How.
    pub(super) kind: ChangeKind,
    /// What is there now.
    node: Option<&'a Node>,
}

/// What differs between an image and a container made from it, in path order. Of what is
/// deleted only the top is listed; what a file hides in place of a directory is not.
pub(super) fn deltas<'a>(image: &'a Root, container: &'a Root) -> Vec<Delta<'a>> {
    let mut before = image.tree.walk(b"").peekable();
    let mut after = container.tree.walk(b"").peekable();
    let mut deltas = Vec::new();
    // What the image has below this is gone with it.
    let mut gone: Option<&[u8]> = None;
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return deltas,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((before, _)), Some((after, _))) => components(before).cmp(components(after)),
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        match (old, new) {
            (Some((path, _)), None) => {
                if !gone.is_some_and(|top| is_below(path, top)) {
                    gone = Some(path);
                    deltas.push(Delta {
                        path,
                        kind: ChangeKind::Deleted,
                        node: None,
                    });
                }
            }
            (old, Some((path, node))) => {
                if node.kind != NodeKind::Directory {
                    gone = Some(path);
                }
                let kind = match old {
                    None => ChangeKind::Added,
                    Some(_) => ChangeKind::Modified,
                };
                if !path.is_empty() && (old.is_none() || container.is_changed(node.layer)) {
                    let node = Some(node);
                    deltas.push(Delta { path, kind, node });
                }
            }
            (None, None) => {}
        }
    }
}

/// What paths are ordered by.
fn components(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/')
}

/// What orders a layer: as paths, but in each directory what is deleted comes first, as the
/// specification of layers asks.
fn layer_order<'a>(delta: &Delta<'a>) -> Vec<(bool, &'a [u8])> {
    let mut key: Vec<_> = components(delta.path).map(|part| (true, part)).collect();
    if let Some((is_entry, _)) = key.last_mut() {
        *is_entry = delta.kind != ChangeKind::Deleted;
    }
    key
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Writes a difference as one layer, the same bytes for the same difference; `None`
    /// if there is none. `container` is what the deltas are of.
    ///
    /// # Errors
    /// As the store's reads and writes.
    pub(super) async fn write_diff(
        &self,
        container: &Root,
        mut deltas: Vec<Delta<'_>>,
        media_type: &str,
        lease: &S::Lease,
        progress: &dyn Progress,
    ) -> Result<Option<Descriptor>> {
        if deltas.is_empty() {
            return Ok(None);
        }
        deltas.sort_by_cached_key(layer_order);
        let mut progress = Reports::new(&deltas, progress);
        let mut writer = Writer::new(&self.store, lease).await?;
        let mut contents = Contents::new(&self.store, container);
        // Hard links to what is not in this layer would lead nowhere where layers are
        // unpacked alone, so the first name here has the content.
        let mut first: HashMap<u32, &[u8]> = HashMap::new();
        for delta in &deltas {
            let Some(node) = delta.node else {
                let (directory, name) = split(delta.path);
                writer.entry(&whiteout(directory, name)).await?;
                continue;
            };
            let mut entry = Entry {
                path: delta.path.to_vec(),
                kind: Kind::Directory,
                metadata: node.metadata.clone(),
            };
            let NodeKind::File { content, link } = &node.kind else {
                entry.kind = kind(&node.kind).unwrap_or(Kind::Directory);
                writer.entry(&entry).await?;
                continue;
            };
            if let Some(holder) = link.and_then(|link| first.get(&link)) {
                entry.kind = Kind::HardLink(holder.to_vec());
                writer.entry(&entry).await?;
                continue;
            }
            first.extend(link.map(|link| (link, delta.path)));
            entry.kind = Kind::File(content.size);
            writer.entry(&entry).await?;
            let mut remaining = content.size;
            if remaining > 0 {
                contents.seek(*content).await?;
            }
            while remaining > 0 {
                let piece = contents.piece(remaining.min(MAX_PIECE)).await?;
                remaining = remaining.saturating_sub(piece.len() as u64);
                progress.add(piece.len() as u64);
                writer.write(piece).await?;
            }
            writer.pad(content.size).await?;
        }
        let layer = writer.finish(media_type).await?;
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
    fn new(deltas: &[Delta<'_>], progress: &'a dyn Progress) -> Self {
        let nodes = deltas.iter().filter_map(|delta| delta.node);
        let sizes = nodes.map(|node| match &node.kind {
            NodeKind::File { content, .. } => content.size,
            _ => 0,
        });
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
