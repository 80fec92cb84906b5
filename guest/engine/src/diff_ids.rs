//! Layers against the diff-ids that a config promises.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{Digest, ImageConfig};

use crate::{Engine, Error, Host, Result, Store};

/// The diff-id that the bytes of a config promise for each of so many layers; `None` if it is no
/// config and its type does not say it is one, so that it promises nothing.
///
/// # Errors
/// [`Error::ManifestInvalid`] and [`Error::QuotaExceeded`] if it cannot be read or promises another
/// number of them.
pub(crate) fn promised(
    config: &Digest,
    bytes: &[u8],
    is_strict: bool,
    layers: usize,
) -> Result<Option<Vec<Digest>>> {
    let diff_ids = match ImageConfig::parse(bytes) {
        Ok(config) => config.rootfs.diff_ids,
        Err(error) if is_strict => return Err(Error::config(config, &error)),
        Err(_) => return Ok(None),
    };
    match diff_ids.len() == layers {
        true => Ok(Some(diff_ids)),
        false => Err(Error::invalid(format_args!(
            "mismatched image rootfs and manifest layers: {} diff-ids for {layers} layers",
            diff_ids.len(),
        ))),
    }
}

impl<H: Host> Engine<H> {
    /// Decompresses layers now and compares them with what is promised of each.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] if one unpacks to something else; as the store's `layer_facts`.
    pub(crate) async fn verify_diff_ids(&self, promised: &[(Digest, Digest)]) -> Result<()> {
        stream::iter(promised)
            .map(async |(layer, expected)| {
                let actual = self.store.layer_facts(layer).await?.diff_id;
                match actual == *expected {
                    true => Ok(()),
                    false => Err(Error::invalid(format_args!(
                        "layer {layer} unpacks to {actual}, its config says {expected}"
                    ))),
                }
            })
            .buffer_unordered(self.settings.parallel_layers.max(1))
            .try_collect()
            .await
    }
}
