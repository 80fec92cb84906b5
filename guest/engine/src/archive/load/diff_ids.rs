//! Layers against what configs promise of them.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use strata_oci::{Digest, ImageConfig, config::MAX_CONFIG_BYTES};

use super::{
    batches::batches,
    examine::{Examined, MadeOf},
    intake::Arrived,
};
use crate::{Engine, Error, Host, Result, Store, archive::invalid, pace::Pace};

impl<H: Host> Engine<H> {
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
            let referrers = snapshot.referrer_names.iter().map(|it| &it.target);
            let named = snapshot.roots.iter().chain(referrers);
            known.extend(named.map(|target| target.digest.clone()));
        }
        let mut pace = Pace::default();
        let mut seen = HashSet::new();
        let mut made_of: Vec<&MadeOf> = Vec::new();
        for image in examined {
            if known.contains(&image.target.digest) {
                continue;
            }
            for part in &image.parts {
                pace.steps(1).await;
                let wanted = part.is_wanted && !part.is_attestation && part.missing.is_none();
                if let Some(content) = &part.made_of
                    && wanted
                    && seen.insert(&part.digest)
                {
                    made_of.push(content);
                }
            }
        }
        let mut promised = HashSet::new();
        for batch in batches(made_of, |it| it.config_size) {
            let batch = stream::iter(batch).map(|content| self.promised_by(content));
            let mut batch = batch.buffered(usize::MAX);
            while let Some(pairs) = batch.next().await {
                promised.extend(pairs?);
            }
        }
        let mut promised: Vec<(Digest, Digest)> = promised.into_iter().collect();
        promised.sort();
        Ok(promised)
    }

    async fn promised_by(&self, content: &MadeOf) -> Result<Vec<(Digest, Digest)>> {
        let MadeOf {
            config,
            config_size,
            is_strict,
            layers,
        } = content;
        let limit = MAX_CONFIG_BYTES as u64;
        if *config_size > limit {
            return match is_strict {
                true => Err(Error::over(format_args!(
                    "image config {config} has {config_size} bytes, the limit is {limit}"
                ))),
                false => Ok(Vec::new()),
            };
        }
        let bytes = self.store.get(config, limit).await?;
        let diff_ids = match ImageConfig::parse(&bytes) {
            Ok(config) => config.rootfs.diff_ids,
            Err(error) if *is_strict => return Err(Error::config(config, &error)),
            // A generic type promises nothing about what it holds.
            Err(_) => return Ok(Vec::new()),
        };
        if diff_ids.len() != layers.len() {
            return Err(invalid(format_args!(
                "mismatched image rootfs and manifest layers: {} diff-ids for {} layers",
                diff_ids.len(),
                layers.len()
            )));
        }
        let to_check = layers.iter().zip(diff_ids);
        let to_check =
            to_check.filter(|((layer, is_layer), diff_id)| *is_layer && layer != diff_id);
        Ok(to_check
            .map(|((layer, _), diff_id)| (layer.clone(), diff_id))
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
