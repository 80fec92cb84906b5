//! The directories that entries go into.

use strata_oci::layer::{Entry, Kind, Metadata, PathError};

use super::Intake;
use crate::{
    Error, Result, Store,
    rootfs::{join, shown, split},
};

impl<S: Store> Intake<S> {
    /// The directory that the parent of an entry is, made if it is missing.
    pub(super) async fn parent(&mut self, parent: &[u8], like: &Metadata) -> Result<Vec<u8>> {
        if let Some((last, directory)) = &self.last
            && last == parent
        {
            return Ok(directory.clone());
        }
        let mut directory = self.directory.clone();
        for part in parent.split(|byte| *byte == b'/') {
            if part.is_empty() {
                continue;
            }
            let path = join(&directory, part);
            let tree = &self.root.tree;
            match tree.find(&path).map(|node| tree.is_directory(node)) {
                Some(true) => directory = path,
                Some(false) => directory = self.followed(&path)?,
                None => {
                    self.repeat(&directory).await?;
                    let metadata = Metadata {
                        mode: 0o755,
                        // The same tar makes the same layer, whenever it comes.
                        mtime: like.mtime,
                        ..Metadata::default()
                    };
                    self.put(Entry {
                        path: path.clone(),
                        kind: Kind::Directory,
                        metadata,
                    })
                    .await?;
                    directory = path;
                }
            }
        }
        self.last = Some((parent.to_vec(), directory.clone()));
        Ok(directory)
    }

    /// The directory that the link at `path` leads to.
    fn followed(&self, path: &[u8]) -> Result<Vec<u8>> {
        let tree = &self.root.tree;
        let resolved = tree.resolve(path, true).and_then(|path| {
            let node = tree.find(&path).ok_or(PathError::NotFound)?;
            match tree.is_directory(node) {
                true => Ok(path),
                false => Err(PathError::NotDirectory),
            }
        });
        resolved.map_err(|error| Error::InvalidArgument(format!("{}: {error}", shown(path))))
    }

    /// Lists a directory and those above it in the layer as they are, unless it has them:
    /// other tools show a file's directories as changed, too.
    pub(super) async fn repeat(&mut self, directory: &[u8]) -> Result<()> {
        let mut missing = Vec::new();
        let mut next = directory;
        while !next.is_empty()
            && let Some(node) = self.root.tree.find(next)
        {
            // What is above one that is listed is listed.
            if self.root.tree.layer(node) == Some(self.number) {
                break;
            }
            missing.push((next, self.root.tree.node(node).metadata));
            next = split(next).0;
        }
        for (path, metadata) in missing.into_iter().rev() {
            self.put(Entry {
                path: path.to_vec(),
                kind: Kind::Directory,
                metadata,
            })
            .await?;
        }
        Ok(())
    }
}
