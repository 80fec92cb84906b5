//! What is at a path.

use strata_oci::layer::{NodeKind, Tree};

use super::{
    model::{FileKind, PathStat},
    place::Place,
};
use crate::{
    Engine, Host, Result,
    rootfs::{join, shown, split},
};

impl<H: Host> Engine<H> {
    /// What is at a path of a container. A link at its end is not followed unless `/`
    /// comes after it.
    ///
    /// # Errors
    /// [`crate::Error::NotFound`] if there is no such container or path, or content is
    /// missing; [`crate::Error::ManifestInvalid`] or [`crate::Error::QuotaExceeded`] if a
    /// layer of its image cannot be read.
    pub async fn stat_path(&self, container: &str, path: &[u8]) -> Result<PathStat> {
        let root = self.reading(container, async |saved| self.root(&saved).await);
        let root = root.await?;
        let place = Place::new(path);
        let (clean, node) = place.find(&root.tree, container)?;
        let (kind, size) = match &node.kind {
            NodeKind::File { content, .. } => (FileKind::File, content.size),
            NodeKind::Directory => (FileKind::Directory, 0),
            NodeKind::Symlink(_) => (FileKind::Symlink, 0),
            NodeKind::CharacterDevice(..) => (FileKind::CharacterDevice, 0),
            NodeKind::BlockDevice(..) => (FileKind::BlockDevice, 0),
            NodeKind::Fifo => (FileKind::Fifo, 0),
        };
        let link_target = match &node.kind {
            NodeKind::Symlink(target) => leads_to(&root.tree, &clean, target),
            _ => String::new(),
        };
        Ok(PathStat {
            name: String::from_utf8_lossy(&place.name).into_owned(),
            kind,
            size,
            mode: node.metadata.mode,
            modified: node.metadata.mtime,
            link_target,
        })
    }
}

/// Where the link at the clean name `path` leads, even if nothing is there.
fn leads_to(tree: &Tree, path: &[u8], target: &[u8]) -> String {
    let clean = tree.resolve_new(path).unwrap_or_else(|_| {
        // More of it than the end is missing, or it leads in circles: by its text.
        let target = match target.starts_with(b"/") {
            true => target.to_vec(),
            false => join(split(path).0, target),
        };
        let place = Place::new(&target);
        let text = place.absolute();
        text.strip_prefix(b"/").unwrap_or(text).to_vec()
    });
    shown(&clean)
}
