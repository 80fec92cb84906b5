//! Layers against what configs promise of them.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{
    Digest, ImageConfig, Manifest,
    config::MAX_CONFIG_BYTES,
    media_type::{self, Kind},
};

use super::{examine::Examined, intake::Arrived};
use crate::{Engine, Error, Result, Store, archive::invalid};

/// Configs read at the same time.
const PARALLEL_READS: usize = 16;

impl<S: Store, T, C> Engine<S, T, C> {
    /// Layers of what was loaded, each with the diff-id its config promises, except those
    /// whose own digest it is. Images that were here already, whole and named, are not
    /// looked at again.
    pub(super) async fn promised(
        &self,
        examined: &[Examined],
        arrived: &Arrived,
    ) -> Result<Vec<(Digest, Digest)>> {
        let mut known: HashSet<Digest> = HashSet::new();
        if arrived.new.is_empty() {
            let snapshot = self.snapshot().await?;
            let companions = snapshot.companions.iter().map(|it| &it.target);
            let named = snapshot.roots.iter().chain(companions);
            known.extend(named.map(|target| target.digest.clone()));
        }
        let mut seen = HashSet::new();
        let mut manifests = Vec::new();
        for image in examined {
            if known.contains(&image.target.digest) {
                continue;
            }
            for part in &image.parts {
                let wanted = part.is_wanted && !part.is_attestation && part.missing.is_none();
                if let Some(manifest) = part.manifest()
                    && wanted
                    && manifest.is_image()
                    && seen.insert(&part.digest)
                {
                    manifests.push(manifest);
                }
            }
        }
        let promised = stream::iter(manifests).map(|manifest| self.promised_by(manifest));
        let promised = promised.buffered(PARALLEL_READS);
        let promised: Vec<Vec<(Digest, Digest)>> = promised.try_collect().await?;
        let mut promised = promised.concat();
        promised.sort();
        promised.dedup();
        Ok(promised)
    }

    async fn promised_by(&self, manifest: &Manifest) -> Result<Vec<(Digest, Digest)>> {
        let config = &manifest.config;
        let strict = media_type::kind(&config.media_type) == Kind::Config;
        let bytes = match self
            .store
            .get(&config.digest, MAX_CONFIG_BYTES as u64)
            .await
        {
            Ok(bytes) => bytes,
            Err(Error::QuotaExceeded(_)) if !strict => return Ok(Vec::new()),
            Err(Error::QuotaExceeded(_)) => {
                return Err(invalid(format_args!(
                    "image config {} has {} bytes, the limit is {MAX_CONFIG_BYTES}",
                    config.digest, config.size
                )));
            }
            Err(error) => return Err(error),
        };
        let diff_ids = match ImageConfig::parse(&bytes) {
            Ok(config) => config.rootfs.diff_ids,
            Err(error) if strict => return Err(invalid(error)),
            // A generic type promises nothing about what it holds.
            Err(_) => return Ok(Vec::new()),
        };
        if diff_ids.len() != manifest.layers.len() {
            return Err(invalid(format_args!(
                "mismatched image rootfs and manifest layers: {} diff-ids for {} layers",
                diff_ids.len(),
                manifest.layers.len()
            )));
        }
        let layers = manifest.layers.iter().zip(diff_ids);
        let to_check = layers.filter(|(layer, diff_id)| {
            let kind = media_type::kind(&layer.media_type);
            kind == Kind::Layer && layer.digest != *diff_id
        });
        Ok(to_check
            .map(|(layer, diff_id)| (layer.digest.clone(), diff_id))
            .collect())
    }

    /// Decompresses every layer now and compares.
    pub(super) async fn verify(&self, promised: &[(Digest, Digest)]) -> Result<()> {
        stream::iter(promised)
            .map(async |(layer, expected)| {
                let actual = self.store.layer_facts(layer).await?.diff_id;
                match actual == *expected {
                    true => Ok(()),
                    false => Err(invalid(format_args!(
                        "layer {layer} unpacks to {actual}, its config says {expected}"
                    ))),
                }
            })
            .buffer_unordered(self.settings.parallel_layers.max(1))
            .try_collect()
            .await
    }
}
