//! Images out of containers.

use strata_oci::{
    Descriptor, Digest, ImageConfig, config::History, instruction, media_type, timestamp,
};

use super::{model::CommitOptions, record::Saved};
use crate::{
    Clock, Completed, Engine, Error, Event, Host, LeaseOf, Progress, Result, Store, assembly,
    rootfs::gone,
};

impl<H: Host> Engine<H> {
    /// Makes an image from a container: its image, a layer with what was changed, and its
    /// config. The same changes always give the same layer, none give no layer, and then
    /// nothing but documents is read. Returns the digest of the image, its manifest's.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is no such container, or content of its image is
    /// missing; [`Error::InvalidArgument`] if a change is not allowed or does not parse, or
    /// the reference has a digest; whatever the store answers.
    pub async fn commit(
        &self,
        container: &str,
        options: &CommitOptions,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        if let Some(reference) = &options.reference
            && reference.digest().is_some()
        {
            return Err(Error::InvalidArgument(
                "cannot import digest reference".to_owned(),
            ));
        }
        let lease = self.store.acquire_lease().await?;
        let read = self.reading(container, async |saved| {
            let layers = saved.image_manifest()?.layers.clone();
            self.protect_layers(&saved, &layers, &lease).await?;
            Ok((saved, layers))
        });
        let (saved, mut layers) = read.await?;
        let base = &saved.record.config;
        let mut config = options.config.clone().unwrap_or_else(|| base.clone());
        instruction::apply(&options.changes, &mut config).map_err(assembly::refused)?;
        config.inherit(base);
        config.check().map_err(Error::over)?;

        let parent = &saved.image_manifest()?.config.digest;
        let parent = self.image_config(parent).await?.ok_or_else(|| {
            Error::NotFound(format!(
                "config {parent} of container {}'s image is not in the store, pull {} again",
                saved.record.name, saved.record.image
            ))
        })?;
        let layer = self.commit_layer(&saved, &layers, &lease, progress);
        let layer = layer.await?;
        let mut image = image(&parent, &saved, options, self.clock.now());
        image.config = Some(config);
        if let Some(layer) = layer {
            // It is not compressed, so this is its diff-id, too.
            image.rootfs.diff_ids.push(layer.digest.clone());
            layers.push(layer);
        } else if let Some(last) = image.history.last_mut() {
            last.empty_layer = true;
        }
        let target = self.put_image(&image, &layers, &lease).await?;
        let reference = options.reference.as_ref();
        let changed = self.name_image(reference, &target).await?;
        if let Some(reference) = reference {
            progress.report(Event::Completed(Completed {
                reference: reference.clone().with_default_tag(),
                digest: target.digest.clone(),
                size: target.size,
                changed,
            }));
        }
        Ok(target.digest)
    }

    /// The layer with what was changed, of the family of the image's.
    async fn commit_layer(
        &self,
        saved: &Saved,
        layers: &[Descriptor],
        lease: &LeaseOf<H>,
        progress: &dyn Progress,
    ) -> Result<Option<Descriptor>> {
        if saved.diffs.is_empty() {
            return Ok(None);
        }
        let is_docker = |layer: &Descriptor| {
            let essence = media_type::essence(&layer.media_type);
            essence.starts_with("application/vnd.docker.")
        };
        let media_type = match layers.first().is_some_and(is_docker) {
            true => media_type::DOCKER_LAYER,
            false => media_type::OCI_LAYER,
        };
        let image = self.image_root(saved).await?;
        let root = self.root(saved).await?;
        self.write_diff(&image, &root, media_type, lease, progress)
            .await
    }

    /// Protects what the new image shares with the container, which may go meanwhile.
    /// Foreign layers need not be here.
    async fn protect_layers(
        &self,
        saved: &Saved,
        layers: &[Descriptor],
        lease: &LeaseOf<H>,
    ) -> Result<()> {
        let shared = layers.iter().chain(&saved.diffs);
        let digests: Vec<_> = shared.map(|layer| layer.digest.clone()).collect();
        let sizes = self.store.stat_all(&digests, Some(lease)).await?;
        for (layer, size) in layers.iter().chain(&saved.diffs).zip(sizes) {
            let is_foreign = media_type::kind(&layer.media_type) == media_type::Kind::ForeignLayer;
            if size.is_none() && !is_foreign {
                return Err(gone(&layer.digest));
            }
        }
        Ok(())
    }
}

/// The new image's config, but for how to run it and for its layer.
fn image(
    parent: &ImageConfig,
    saved: &Saved,
    options: &CommitOptions,
    (seconds, nanoseconds): (i64, u32),
) -> ImageConfig {
    let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let created = timestamp::format_rfc3339_nano(seconds, nanoseconds);
    let command = saved.record.config.cmd.as_deref().unwrap_or_default();
    let mut history = parent.history.clone();
    history.push(History {
        created: Some(created.clone()),
        created_by: filled(&command.join(" ")),
        author: filled(&options.author),
        comment: filled(&options.comment),
        empty_layer: false,
    });
    let mut rootfs = parent.rootfs.clone();
    rootfs.type_ = "layers".to_owned();
    ImageConfig {
        created: Some(created),
        author: filled(&options.author).or_else(|| parent.author.clone()),
        architecture: parent.architecture.clone(),
        os: parent.os.clone(),
        os_version: parent.os_version.clone(),
        os_features: parent.os_features.clone(),
        variant: parent.variant.clone(),
        rootfs,
        history,
        ..ImageConfig::default()
    }
}
