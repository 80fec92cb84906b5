//! Layers against what configs promise of them.

use std::collections::HashSet;

use futures::stream::{self, StreamExt as _};
use strata_oci::{Digest, config::MAX_CONFIG_BYTES};

use super::{
    batches::batches,
    examine::{Examined, MadeOf},
    intake::Arrived,
};
use crate::{Engine, Error, Host, Result, Store, diff_ids, pace::Pace};

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
        let diff_ids = diff_ids::promised(config, &bytes, *is_strict, layers.len())?;
        let to_check = layers.iter().zip(diff_ids.unwrap_or_default());
        let to_check =
            to_check.filter(|((layer, is_layer), diff_id)| *is_layer && layer != diff_id);
        Ok(to_check
            .map(|((layer, _), diff_id)| (layer.clone(), diff_id))
            .collect())
    }
}
