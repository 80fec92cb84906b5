//! What a container has changed.

use strata_oci::layer::Order;

use super::model::ChangedPath;
use crate::{
    Engine, Host, Result,
    rootfs::{deltas, shown},
};

impl<H: Host> Engine<H> {
    /// What differs from the image, in path order. A directory counts as modified if
    /// anything in it was changed; of what is deleted only the top is listed.
    ///
    /// # Errors
    /// As [`Engine::stat_path`], but for paths.
    pub async fn changes(&self, container: &str) -> Result<Vec<ChangedPath>> {
        let read = self.reading(container, async |saved| {
            if saved.diffs.is_empty() {
                return Ok(None);
            }
            let image = self.image_root(&saved).await?;
            Ok(Some((image, self.root(&saved).await?)))
        });
        let Some((image, root)) = read.await? else {
            return Ok(Vec::new());
        };
        let changed = deltas(&image, &root, Order::Names).await.into_iter();
        let changed = changed.map(|delta| ChangedPath {
            path: shown(&delta.path(&image, &root)),
            kind: delta.kind(),
        });
        Ok(changed.collect())
    }
}
