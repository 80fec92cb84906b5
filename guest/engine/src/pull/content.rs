//! Everything an image consists of: config, layers, attestations, at once.

use std::{cmp::Reverse, collections::BTreeSet};

use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use strata_oci::{
    Descriptor, Digest, Document, ImageConfig,
    config::MAX_CONFIG_BYTES,
    media_type::{self, Kind},
};

use super::{Pull, choice::Image, invalid};
use crate::{
    BlobProgress, Clock, Error, Event, Phase, Progress, Result, Silent, Store, Transport,
    registry::retrying,
};

/// What fetching found.
pub(super) struct Arrival {
    /// Config and layers were here before.
    pub(super) was_all_here: bool,
}

impl<S, T, C> Pull<'_, S, T, C>
where
    S: Store,
    T: Transport<Body = S::Body>,
    C: Clock,
{
    /// Brings in what is not here. Afterwards the lease protects all of it.
    pub(super) async fn fetch(&self, image: &Image) -> Result<Arrival> {
        let config = &image.manifest.config;
        let layers = distinct(&image.manifest.layers);
        let mut digests: Vec<Digest> = layers.iter().map(|layer| layer.digest.clone()).collect();
        digests.push(config.digest.clone());
        let mut sizes = self.store.stat_all(&digests, Some(&self.lease)).await?;
        let config_here = sizes.pop().flatten().is_some();
        let here: Vec<bool> = sizes.iter().map(Option::is_some).collect();
        let was_all_here = config_here && here.iter().all(|here| *here);

        let mut missing = Vec::new();
        if !was_all_here {
            for layer in &layers {
                report(self.progress, layer, Phase::Queued, 0);
            }
            for (layer, here) in layers.iter().zip(here) {
                if here {
                    report(self.progress, layer, Phase::AlreadyExists, layer.size);
                } else {
                    missing.push(*layer);
                }
            }
        }
        let config = async {
            match config_here {
                true => Ok(()),
                false => self.fetch_config(config).await,
            }
        };
        future::try_join3(
            self.fetch_blobs(missing, self.progress),
            config,
            self.fetch_attestations(&image.attestations),
        )
        .await?;
        Ok(Arrival { was_all_here })
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
            .map(|blob| self.blob(blob, progress))
            .buffer_unordered(self.settings.parallel_layers.max(1))
            .try_collect()
            .await
    }

    /// Attestations are small and many, and people did not ask for them: they
    /// come one after the other, without records of their blobs.
    pub(super) async fn fetch_attestations(&self, attestations: &[Descriptor]) -> Result<()> {
        for attestation in attestations {
            let document = match self.child(attestation).await {
                Ok(document @ Document::Manifest(_)) => document,
                // Only manifests attest.
                Ok(Document::Index(_)) | Err(Error::Unsupported(_)) => continue,
                Err(error) => return Err(error),
            };
            let blobs = distinct(document.children());
            let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest.clone()).collect();
            let sizes = self.store.stat_all(&digests, Some(&self.lease)).await?;
            let blobs = blobs.into_iter().zip(sizes);
            let missing = blobs.filter_map(|(blob, size)| size.is_none().then_some(blob));
            self.fetch_blobs(missing.collect(), &Silent).await?;
        }
        Ok(())
    }

    /// Image configs come whole; what an artifact has in their place may be of
    /// any size.
    async fn fetch_config(&self, config: &Descriptor) -> Result<()> {
        match media_type::kind(&config.media_type) {
            Kind::Config => self.config(config).await.map(drop),
            _ => self.blob(config, &Silent).await,
        }
    }

    /// The bytes of an image config, stored.
    pub(super) async fn config(&self, config: &Descriptor) -> Result<Vec<u8>> {
        let Descriptor { digest, size, .. } = config;
        let limit = MAX_CONFIG_BYTES as u64;
        let here = self.store.stat(digest, Some(&self.lease)).await?;
        if here.unwrap_or(*size) > limit {
            return Err(invalid(format_args!(
                "image config {digest} has {} bytes, the limit is {limit}",
                here.unwrap_or(*size)
            )));
        }
        if here.is_some() {
            return self.store.get(digest, limit).await;
        }
        let bytes = match config.inline() {
            Some(inline) => inline,
            None => {
                retrying(Some(digest), self.clock, self.progress, async || {
                    let media_type = &config.media_type;
                    let fetched = self
                        .repository
                        .small_blob(digest, media_type, *size, MAX_CONFIG_BYTES)
                        .await;
                    fetched.map_err(|failure| {
                        failure.context(&format!(
                            "failed to fetch config {digest} of {}",
                            self.reference
                        ))
                    })
                })
                .await?
            }
        };
        self.store.put(digest, bytes.clone(), &self.lease).await?;
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
        let config = match ImageConfig::parse(&bytes) {
            Ok(config) => config,
            Err(error) if strict => return Err(invalid(error)),
            // A generic type promises nothing about what it holds.
            Err(_) => return Ok(Vec::new()),
        };
        let diff_ids = config.rootfs.diff_ids;
        if diff_ids.len() != manifest.layers.len() {
            return Err(invalid(format_args!(
                "mismatched image rootfs and manifest layers: {} diff-ids for {} layers",
                diff_ids.len(),
                manifest.layers.len()
            )));
        }
        let layers = manifest.layers.iter().map(|layer| layer.digest.clone());
        Ok(layers.zip(diff_ids).collect())
    }

    /// Decompresses every layer now and compares.
    pub(super) async fn verify_diff_ids(&self, promised: &[(Digest, Digest)]) -> Result<()> {
        stream::iter(promised)
            .map(async |(layer, expected)| {
                let actual = self.store.layer_facts(layer).await?.diff_id;
                if actual == *expected {
                    return Ok(());
                }
                Err(Error::DigestMismatch {
                    expected: expected.clone(),
                    actual,
                })
            })
            .buffer_unordered(self.settings.parallel_layers.max(1))
            .try_collect()
            .await
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

/// Reports one blob's state.
pub(super) fn report(progress: &dyn Progress, blob: &Descriptor, phase: Phase, current: u64) {
    progress.report(Event::Blob(BlobProgress {
        digest: blob.digest.clone(),
        phase,
        current,
        total: blob.size,
        mounted_from: None,
    }));
}
