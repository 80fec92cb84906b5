//! One image in full (docker §4.2).

use strata_oci::Platform;

use super::{Found, Image, SOURCE_LABEL, View, documents::descriptor, view::ManifestView};
use crate::{Engine, Error, ImageDetails, InspectOptions, Result, Store};

impl<S: Store, T, C> Engine<S, T, C> {
    /// One image in full, for the platform asked for or the host's best.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image, an ID prefix has several, or
    /// the platform is not in it; [`Error::InvalidArgument`] if `name` does not
    /// parse.
    pub async fn inspect(&self, name: &str, options: &InspectOptions) -> Result<ImageDetails> {
        let found = self.resolve(name).await?;
        let image = found.image()?;
        let view = self.view(image).await?;
        let chosen = match &options.platform {
            Some(platform) => Some(found.for_platform(&view, platform)?),
            None => view.best(),
        };
        let config = match chosen.and_then(ManifestView::manifest) {
            Some(manifest) => self.config(&manifest.config.digest).await?,
            None => None,
        };
        let target = match (&options.platform, chosen) {
            (Some(_), Some(chosen)) => chosen.descriptor.clone(),
            _ => descriptor(&image.target),
        };
        let containers = found.snapshot.containers_using(&image.target.digest);
        Ok(ImageDetails {
            target,
            tags: image.tags(),
            digests: image.digests(),
            config: config.as_ref().map(|config| config.image.clone()),
            config_bytes: config.as_ref().map(|config| config.bytes.clone()),
            size: chosen.map_or(0, |chosen| chosen.content_size),
            last_tagged: image.last_tagged(),
            manifests: match options.manifests {
                true => view.summaries(containers),
                false => Vec::new(),
            },
            sources: image.sources(),
        })
    }
}

impl Found {
    /// The manifest for exactly this platform.
    pub(crate) fn for_platform<'a>(
        &self,
        view: &'a View,
        platform: &Platform,
    ) -> Result<&'a ManifestView> {
        view.exactly(platform).ok_or_else(|| {
            let reference = match self.familiar() {
                Ok(familiar) => familiar,
                Err(error) => return error,
            };
            Error::NotFound(format!(
                "image with reference {reference} was found but does not provide the specified platform ({})",
                platform.format()
            ))
        })
    }
}

impl Image {
    /// Every familiar `repository@digest`, in name order.
    fn digests(&self) -> Vec<String> {
        let mut digests = Vec::with_capacity(self.names.len());
        for digest in self
            .names
            .iter()
            .filter_map(|name| name.repository_digest())
        {
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        digests
    }

    /// When a name last got this target: Unix seconds and nanoseconds.
    fn last_tagged(&self) -> Option<(i64, u32)> {
        let milliseconds = self.names.iter().map(|name| name.record.updated).max()?;
        let rest = u32::try_from(milliseconds.rem_euclid(1000)).unwrap_or_default();
        Some((milliseconds.div_euclid(1000), rest * 1_000_000))
    }

    /// The repositories its names record as sources, canonical.
    fn sources(&self) -> Vec<String> {
        let mut sources = Vec::new();
        for (domain, paths) in self.source_labels() {
            for path in paths.split(',').filter(|path| !path.is_empty()) {
                sources.push(format!("{domain}/{path}"));
            }
        }
        sources.sort();
        sources.dedup();
        sources
    }

    /// The labels that say where it came from: domains and their lists of paths.
    pub(crate) fn source_labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.names.iter().flat_map(|name| &name.record.labels);
        labels.filter_map(|(key, value)| Some((key.strip_prefix(SOURCE_LABEL)?, value.as_str())))
    }
}
