//! Which file systems a container has: its image's, and that with its changes.

use std::rc::Rc;

use super::record::Saved;
use crate::{Engine, Host, Result, rootfs::Root};

impl<H: Host> Engine<H> {
    /// The file system of a container's image.
    ///
    /// # Errors
    /// As [`Engine::root_of_image`].
    pub(super) async fn image_root(&self, saved: &Saved) -> Result<Rc<Root>> {
        let layers = &saved.image_manifest()?.layers;
        self.root_of_image(&saved.record.manifest.digest, layers)
            .await
    }

    /// The file system of a container.
    ///
    /// # Errors
    /// As [`Engine::root_of_image`].
    pub(super) async fn root(&self, saved: &Saved) -> Result<Rc<Root>> {
        let key = &saved.container.target.digest;
        if let Some(root) = self.kept_root(key) {
            return Ok(root);
        }
        let image = self.image_root(saved).await?;
        if saved.diffs.is_empty() {
            return Ok(image);
        }
        let mut root = Root::clone(&image);
        self.apply_layers(&mut root, &saved.diffs).await?;
        let root = Rc::new(root);
        self.keep_root(key, root.clone());
        Ok(root)
    }
}
