//! What may be where.

use strata_oci::layer::Kind;

use super::Intake;
use crate::{
    Error, Result, Store,
    container::model::CopyInOptions,
    rootfs::{is_below, join, shown},
};

impl<S: Store> Intake<S> {
    /// Whether an entry may be where something is.
    pub(super) fn check_kinds(
        &self,
        path: &[u8],
        kind: &Kind,
        options: &CopyInOptions,
    ) -> Result<()> {
        if !options.no_overwrite_dir_non_dir {
            return Ok(());
        }
        let tree = &self.root.tree;
        let Some(node) = tree.find(path) else {
            return Ok(());
        };
        let was_directory = tree.is_directory(node);
        let is_directory = *kind == Kind::Directory;
        let (path, directory) = (shown(path), shown(&self.directory));
        match (was_directory, is_directory) {
            (true, false) => Err(Error::InvalidArgument(format!(
                "cannot overwrite directory {path:?} with non-directory {directory:?}"
            ))),
            (false, true) => Err(Error::InvalidArgument(format!(
                "cannot overwrite non-directory {path:?} with directory {directory:?}"
            ))),
            _ => Ok(()),
        }
    }

    /// The file that a hard link at `path` is another name of.
    pub(super) fn link_target(&self, target: &[u8], path: &[u8]) -> Result<Vec<u8>> {
        let tree = &self.root.tree;
        let refused = |why: &str| {
            Error::InvalidArgument(format!(
                "{} is a hard link to {:?}, {why}",
                shown(path),
                String::from_utf8_lossy(target)
            ))
        };
        let resolved = tree.resolve(&join(&self.directory, target), false);
        let resolved = resolved.map_err(|_| refused("which is not there"))?;
        match tree.find(&resolved).map(|node| tree.is_directory(node)) {
            None | Some(true) => Err(refused("which is no file")),
            // What takes the place of its own target would be a link to nothing.
            Some(false) if resolved == path || is_below(&resolved, path) => {
                Err(refused("whose place it would take"))
            }
            Some(false) => Ok(resolved),
        }
    }
}
