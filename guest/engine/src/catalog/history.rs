//! How an image came to be, step by step.

use futures::future::try_join_all;
use strata_oci::{Digest, Platform, timestamp};

use super::{Found, content::damage, view::ManifestView};
use crate::{Engine, Error, HistoryEntry, Host, Result, Store};

/// The bytes that a layer's size takes, kept by its digest.
const LAYER_WEIGHT: usize = 128;

impl<H: Host> Engine<H> {
    /// The steps of an image's making, the newest first. Steps with a layer have
    /// its uncompressed size, 0 if the layer is not here.
    ///
    /// # Errors
    /// As [`Engine::inspect`]; [`Error::Damaged`] if the config cannot be read;
    /// [`Error::ManifestInvalid`] if there are more steps
    /// with layers than layers.
    pub async fn history(
        &self,
        name: &str,
        platform: Option<&Platform>,
    ) -> Result<Vec<HistoryEntry>> {
        self.settled(
            |names| names.target_of(name),
            async |names| self.steps(&names.resolve(name)?, platform).await,
            |_| true,
        )
        .await
    }

    async fn steps(&self, found: &Found, platform: Option<&Platform>) -> Result<Vec<HistoryEntry>> {
        let image = found.image()?;
        let view = self.view(image).await?;
        let chosen = match platform {
            Some(platform) => Some(found.for_platform(&view, platform)?),
            None => view.best(),
        };
        let Some(manifest) = chosen.and_then(ManifestView::manifest) else {
            return Err(found.nothing_of(&view));
        };
        let config = match self.config(&manifest.config.digest).await {
            Err(Error::NotFound(_)) => return Err(found.nothing_of(&view)),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(error) => return Err(found.damaged(&damage(&manifest.config.digest, &error))),
            Ok(config) => config,
        };
        let layers = manifest.layers.iter();
        let sizes = layers.map(|layer| self.uncompressed_size(&layer.digest));
        let mut sizes = try_join_all(sizes).await?.into_iter();
        let mut entries = Vec::with_capacity(config.image.history.len());
        for step in &config.image.history {
            let size = match step.empty_layer {
                true => 0,
                false => sizes.next().ok_or_else(|| {
                    Error::ManifestInvalid("unable to find the size of the layer".to_owned())
                })?,
            };
            let created = step.created.as_deref().and_then(timestamp::parse_rfc3339);
            entries.push(HistoryEntry {
                id: None,
                created: created.map_or(0, |(seconds, _)| seconds),
                created_by: step.created_by.clone().unwrap_or_default(),
                tags: Vec::new(),
                size,
                comment: step.comment.clone().unwrap_or_default(),
            });
        }
        entries.reverse();
        if let Some(newest) = entries.first_mut() {
            newest.id = Some(image.target.digest.clone());
            newest.tags = image.tags();
        }
        Ok(entries)
    }

    /// Bytes of a layer once uncompressed. 0 if it is not here, is no layer or not the one
    /// that was promised: a history can be shown without.
    async fn uncompressed_size(&self, layer: &Digest) -> Result<u64> {
        if let Some(size) = self.catalog.layers.borrow_mut().get(layer) {
            return Ok(size);
        }
        match self.store.layer_facts(layer).await {
            Ok(facts) => {
                let mut cache = self.catalog.layers.borrow_mut();
                cache.insert(layer.clone(), facts.size, LAYER_WEIGHT);
                Ok(facts.size)
            }
            Err(
                Error::NotFound(_)
                | Error::Damaged(_)
                | Error::DigestMismatch { .. }
                | Error::ManifestInvalid(_)
                | Error::Unsupported(_),
            ) => Ok(0),
            Err(error) => Err(error),
        }
    }
}
