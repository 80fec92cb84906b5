//! Which digest a file of a Docker archive will turn out to have, known before it is read.
//!
//! A guess only tells with which content that is here already the file is compared;
//! whether the file belongs to the image at all, the config's diff-ids decide.

use std::{collections::HashMap, rc::Rc};

use strata_oci::{
    Digest, ImageConfig,
    archive::{clean, docker::parse_manifest},
    config::MAX_CONFIG_BYTES,
};

use super::files::{Files, Found};
use crate::Store;

/// What `manifest.json` and configs say, if they come first.
#[derive(Default)]
pub(super) struct Hints {
    /// Position among the rows and among their layers, by cleaned name.
    layers: HashMap<String, (usize, usize)>,
    /// Cleaned name of each row's config.
    configs: Vec<String>,
    /// Diff-ids of the rows looked into.
    diff_ids: HashMap<usize, Rc<[Digest]>>,
}

impl Hints {
    /// Takes note of `manifest.json`. What is wrong with it is told at the end.
    pub(super) fn manifest(&mut self, bytes: &[u8]) {
        let rows = parse_manifest(bytes).ok().flatten().unwrap_or_default();
        for row in rows {
            for (position, layer) in row.layers.iter().enumerate() {
                if let Ok(path) = clean(layer) {
                    self.layers.insert(path, (self.configs.len(), position));
                }
            }
            self.configs.push(clean(&row.config).unwrap_or_default());
        }
    }

    /// The digest the file at `path` should have.
    pub(super) async fn digest_of<S: Store>(
        &mut self,
        path: &str,
        files: &Files,
        store: &S,
    ) -> Option<Digest> {
        if let Some((row, layer)) = self.layers.get(path).copied() {
            if !self.diff_ids.contains_key(&row)
                && let Some(Found::File(config)) = files.find(self.configs.get(row)?)
            {
                let bytes = store.get(&config.digest, MAX_CONFIG_BYTES as u64).await;
                let config = bytes.ok().and_then(|bytes| ImageConfig::parse(&bytes).ok());
                let diff_ids = config.map(|config| config.rootfs.diff_ids);
                let diff_ids = diff_ids.unwrap_or_default();
                self.diff_ids.insert(row, diff_ids.into());
            }
            let diff_ids = self.diff_ids.get(&row);
            if let Some(diff_id) = diff_ids.and_then(|diff_ids| diff_ids.get(layer)) {
                return Some(diff_id.clone());
            }
        }
        named_digest(path)
    }
}

/// The digest some tools name files by: `<hex>.tar`, `<hex>.json`, `sha256:<hex>`,
/// `<hex>/layer.tar`.
pub(super) fn named_digest(path: &str) -> Option<Digest> {
    path.rsplit('/').find_map(|part| {
        let part = part.strip_prefix("sha256:").unwrap_or(part);
        let encoded = part.split('.').next()?;
        Digest::parse(&format!("sha256:{encoded}")).ok()
    })
}
