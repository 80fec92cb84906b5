//! One image in full.

use strata_oci::Platform;

use super::{
    Found, Image, SOURCE_LABEL, View,
    content::damage,
    documents::descriptor,
    snapshot::distinct,
    view::{Kinship, ManifestView},
};
use crate::{Engine, Error, Host, ImageDetails, InspectOptions, Result};

impl<H: Host> Engine<H> {
    /// One image in full, for the platform asked for or the host's best. An image that
    /// cannot be read is shown as far as it is known.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such image, an ID prefix has several, or
    /// the platform is not in it; [`Error::Damaged`] if it cannot be told whether it is;
    /// [`Error::InvalidArgument`] if `name` does not parse.
    pub async fn inspect(&self, name: &str, options: &InspectOptions) -> Result<ImageDetails> {
        self.settled(
            |names| names.target_of(name),
            async |names| self.details(&names.resolve(name)?, options).await,
            |details| details.damaged.is_none(),
        )
        .await
    }

    async fn details(&self, found: &Found, options: &InspectOptions) -> Result<ImageDetails> {
        let image = found.image()?;
        let view = self.view(image).await?;
        let chosen = match &options.platform {
            Some(platform) => Some(found.for_platform(&view, platform)?),
            None => view.shown(),
        };
        let mut damaged = view.damage.as_deref().map(str::to_owned);
        let config = match chosen.and_then(ManifestView::manifest) {
            Some(manifest) => match self.config(&manifest.config.digest).await {
                Ok(config) => Some(config),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(Error::NotFound(_)) => None,
                Err(error) => {
                    damaged.get_or_insert_with(|| damage(&manifest.config.digest, &error));
                    None
                }
            },
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
            size: match (chosen, &damaged) {
                (Some(chosen), _) => chosen.content_size,
                // Nothing of it can be run, but it takes room.
                (None, Some(_)) => view.size,
                (None, None) => 0,
            },
            damaged,
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
            if let Some(reason) = &view.damage
                && view.may_have(platform)
            {
                return self.damaged(reason);
            }
            Error::NotFound(format!(
                "image with reference {reference} was found but does not provide the specified platform ({})",
                platform.format()
            ))
        })
    }

    /// What to say of an image that cannot be read.
    pub(crate) fn damaged(&self, reason: &str) -> Error {
        match self.familiar() {
            Ok(familiar) => Error::Damaged(format!(
                "image {familiar} is damaged: {reason}; pull or load it again, or run `strata check --repair`"
            )),
            Err(error) => error,
        }
    }

    /// What to say if nothing of an image can be shown.
    pub(super) fn nothing_of(&self, view: &View) -> Error {
        match (&view.damage, self.familiar()) {
            (_, Err(error)) => error,
            (Some(reason), _) => self.damaged(reason),
            (None, Ok(familiar)) => Error::NotFound(format!(
                "image with reference {familiar} was found but does not provide any platform"
            )),
        }
    }
}

impl View {
    /// Whether what cannot be read of it may be for `platform`.
    fn may_have(&self, platform: &Platform) -> bool {
        let unread = |manifest: &&ManifestView| manifest.essentials.is_none();
        let mut unread = self.manifests.iter().filter(unread);
        self.manifests.is_empty()
            || unread.any(|manifest| match &manifest.kind {
                Kinship::Image(offered) => platform.matches(offered),
                Kinship::Attestation(_) => false,
                Kinship::Unknown => true,
            })
    }
}

impl Image {
    /// Every familiar `repository@digest`, in name order.
    fn digests(&self) -> Vec<String> {
        let names = self.names.iter();
        distinct(names.filter_map(|name| name.repository_digest()))
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
