//! Everything an image consists of: config, layers, attestations, at once.

use std::{cmp::Reverse, collections::BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use strata_oci::{
    Descriptor, Digest, Document,
    config::MAX_CONFIG_BYTES,
    media_type::{self, Kind},
};

use super::{Pull, choice::Image};
use crate::{
    Error, Host, Phase, Progress, Result, Silent, Store, diff_ids, fetch::report,
    registry::retrying,
};

/// What fetching found.
pub(super) struct Arrival {
    /// Config and layers were here before.
    pub(super) was_all_here: bool,
}

impl<H: Host> Pull<'_, H> {
    /// Brings in what is not here. Afterwards the lease protects all of it.
    pub(super) async fn fetch(&self, image: &Image) -> Result<Arrival> {
        let config = &image.manifest.config;
        let layers = distinct(&image.manifest.layers);
        let mut digests: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
        digests.push(config.digest.clone());
        let mut sizes = self
            .fetch
            .engine
            .store
            .stat_all(&digests, Some(&self.fetch.lease))
            .await?;
        // What has another size than it should was cut or changed; the ingest looks into it.
        let config_here = sizes.pop().flatten() == Some(config.size);
        let here = layers.iter().zip(&sizes);
        let here = here.map(|(layer, size)| *size == Some(layer.size));
        let here: Vec<bool> = here.collect();
        let was_all_here = config_here && here.iter().all(|here| *here);

        let mut missing = Vec::new();
        if !was_all_here {
            for layer in &layers {
                report(self.fetch.progress, layer, Phase::Queued, 0);
            }
            for (layer, here) in layers.iter().zip(here) {
                if here {
                    report(self.fetch.progress, layer, Phase::AlreadyExists, layer.size);
                } else {
                    missing.push(*layer);
                }
            }
        }
        future::try_join3(
            self.fetch_blobs(missing, self.fetch.progress),
            self.fetch_config(config, config_here),
            self.fetch_attestations(&image.attestations),
        )
        .await?;
        if !was_all_here {
            self.note_source(distinct(image.manifest.layers.iter().chain([config])))
                .await?;
        }
        Ok(Arrival { was_all_here })
    }

    /// Remembers that blobs can be had from this repository, should they be damaged one day.
    /// A pull does not depend on it.
    pub(super) async fn note_source(&self, blobs: Vec<&Descriptor>) -> Result<()> {
        let blobs = blobs.into_iter();
        // Foreign layers came from elsewhere.
        let own = blobs.filter(|it| media_type::kind(&it.media_type) != Kind::ForeignLayer);
        let own: Vec<Digest> = own.map(|it| it.digest.clone()).collect();
        self.fetch.note_digests(&own).await
    }

    /// Fetches blobs, several at a time. The largest go first, so that the last
    /// to end is a short one.
    async fn fetch_blobs(
        &self,
        mut blobs: Vec<&Descriptor>,
        progress: &dyn Progress,
    ) -> Result<()> {
        blobs.sort_by_key(|blob| Reverse(blob.size));
        stream::iter(blobs)
            .map(|blob| self.fetch.blob(blob, progress))
            .buffer_unordered(self.fetch.engine.settings.parallel_layers.max(1))
            .try_collect()
            .await
    }

    /// Attestations are small and many, and people did not ask for them: they
    /// come one after the other, without records of their blobs.
    pub(super) async fn fetch_attestations(&self, attestations: &[Descriptor]) -> Result<()> {
        for attestation in attestations {
            let document = match self.fetch.child(attestation).await {
                Ok(document @ Document::Manifest(_)) => document,
                // Only manifests attest.
                Ok(Document::Index(_)) | Err(Error::Unsupported(_)) => continue,
                Err(error) => return Err(error),
            };
            let blobs = distinct(document.children());
            let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
            let sizes = self
                .fetch
                .engine
                .store
                .stat_all(&digests, Some(&self.fetch.lease))
                .await?;
            let blobs = blobs.into_iter().zip(sizes);
            let missing = blobs.filter(|(blob, size)| *size != Some(blob.size));
            let missing: Vec<&Descriptor> = missing.map(|(blob, _)| blob).collect();
            if missing.is_empty() {
                continue;
            }
            self.fetch_blobs(missing.clone(), &Silent).await?;
            self.note_source(missing).await?;
        }
        Ok(())
    }

    /// Image configs come whole, and one that is here is read: that shows whether it is
    /// damaged. What an artifact has in their place may be of any size.
    async fn fetch_config(&self, config: &Descriptor, is_here: bool) -> Result<()> {
        match media_type::kind(&config.media_type) {
            Kind::Config => self.config(config).await.map(drop),
            _ if is_here => Ok(()),
            _ => self.fetch.blob(config, &Silent).await,
        }
    }

    /// The bytes of an image config, stored.
    pub(super) async fn config(&self, config: &Descriptor) -> Result<Vec<u8>> {
        let Descriptor { digest, size, .. } = config;
        let limit = MAX_CONFIG_BYTES as u64;
        if *size > limit {
            return Err(Error::over(format_args!(
                "image config {digest} has {size} bytes, the limit is {limit}"
            )));
        }
        if self
            .fetch
            .engine
            .store
            .stat(digest, Some(&self.fetch.lease))
            .await?
            == Some(*size)
            && let Some(stored) = self.fetch.intact(digest, limit).await?
        {
            return Ok(stored);
        }
        let bytes = match config.inline() {
            Some(inline) => inline,
            None => {
                retrying(
                    Some(digest),
                    &self.fetch.engine.clock,
                    self.fetch.progress,
                    async || {
                        let media_type = &config.media_type;
                        let fetched = self
                            .fetch
                            .repository
                            .small_blob(digest, media_type, *size, MAX_CONFIG_BYTES)
                            .await;
                        fetched.map_err(|failure| {
                            failure.context(&format!(
                                "failed to fetch config {digest} of {}",
                                self.fetch.reference
                            ))
                        })
                    },
                )
                .await?
            }
        };
        self.fetch
            .engine
            .store
            .put(digest, bytes.clone(), &self.fetch.lease)
            .await?;
        Ok(bytes)
    }

    /// The diff-id its config promises for each layer; none for an artifact.
    pub(super) async fn diff_ids(&self, image: &Image) -> Result<Vec<(Digest, Digest)>> {
        let manifest = &image.manifest;
        if !manifest.is_image() {
            return Ok(Vec::new());
        }
        let strict = media_type::kind(&manifest.config.media_type) == Kind::Config;
        if !strict && manifest.config.size > MAX_CONFIG_BYTES as u64 {
            return Ok(Vec::new());
        }
        let bytes = self.config(&manifest.config).await?;
        let digest = &manifest.config.digest;
        let diff_ids = diff_ids::promised(digest, &bytes, strict, manifest.layers.len())?;
        let layers = manifest.layers.iter().map(|layer| layer.digest.clone());
        Ok(layers.zip(diff_ids.unwrap_or_default()).collect())
    }
}

/// Each digest once, in order: a manifest may list the same layer many times.
fn distinct<'d>(descriptors: impl IntoIterator<Item = &'d Descriptor>) -> Vec<&'d Descriptor> {
    let mut seen = BTreeSet::new();
    descriptors
        .into_iter()
        .filter(|descriptor| seen.insert(&descriptor.digest))
        .collect()
}
