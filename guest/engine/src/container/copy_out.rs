//! A file or directory, or all of it, as a tar.

use super::place::Place;
use crate::{
    ArchiveSink, Engine, Host, Progress, Result, Silent,
    rootfs::{Naming, Packing, Root},
};

impl<H: Host> Engine<H> {
    /// Writes a tar of what is at a path, named as the last component of `path`: what is
    /// at `/a/b` is `b` and `b/…`, with `/.` at the end `.` and `./…`; the root is `/` and
    /// `/…`. A link at the end is not followed unless `/` comes after it.
    ///
    /// # Errors
    /// Before the first byte as [`Engine::stat_path`]; after it as `sink` and the store's
    /// reads.
    pub async fn copy_out<W: ArchiveSink<H::Body>>(
        &self,
        container: &str,
        path: &[u8],
        sink: &mut W,
    ) -> Result<()> {
        let (root, _lease) = self.held_root(container).await?;
        let place = Place::new(path);
        let (top, _) = place.find(&root.tree, container)?;
        let name = match place.name.as_slice() {
            b"/" => b"",
            name => name,
        };
        let naming = Naming::Renamed { top: &top, name };
        self.pack(&root, naming, sink, &Silent).await
    }

    /// Writes a tar of the whole file system, names without slash at their start.
    ///
    /// # Errors
    /// As [`Engine::copy_out`].
    pub async fn export<W: ArchiveSink<H::Body>>(
        &self,
        container: &str,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        let (root, _lease) = self.held_root(container).await?;
        self.pack(&root, Naming::Relative, sink, progress).await
    }

    async fn pack<W: ArchiveSink<H::Body>>(
        &self,
        root: &Root,
        naming: Naming<'_>,
        sink: &mut W,
        progress: &dyn Progress,
    ) -> Result<()> {
        let packing = Packing::new(root, naming).await;
        packing.write(&self.store, sink, progress).await
    }
}
