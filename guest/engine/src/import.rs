//! Importing a root file system as an image of one layer.
//!
//! What can be refused without the bytes is refused first. Then they go into the store as
//! they come ([`intake`]), and only a tar that is whole gets a config, a manifest and at
//! last a name.

mod check;
mod fetch;
mod intake;
#[cfg(test)]
mod tests;

use strata_oci::{
    Digest, ImageConfig, Platform, Reference,
    config::{ContainerConfig, History, RootFs},
    instruction, timestamp,
};
use strata_registry::address;

use crate::{
    Clock, Completed, Engine, Error, Event, Host, Progress, Result, Store, Target, assembly,
};
use intake::{Intake, Root};

/// What an imported image shall be.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// Its name; without tag `latest`. `None` leaves the image dangling.
    pub reference: Option<Reference>,
    /// Comment of its one history entry; `None` is `Imported from <source>`.
    pub message: Option<String>,
    /// What it was built for; `None` is the host's platform.
    pub platform: Option<Platform>,
    /// Dockerfile instructions, see [`strata_oci::instruction`].
    pub changes: Vec<String>,
}

/// Where a root file system comes from.
pub enum ImportSource<B> {
    /// These bytes.
    Body(B),
    /// The body of this URL's answer; without scheme it is `http://`.
    Url(String),
}

impl<H: Host> Engine<H> {
    /// Makes an image from a tar, plain or compressed with gzip, zstd, bzip2 or xz;
    /// returns its digest, that of its manifest.
    ///
    /// Plain, gzip and zstd are stored as they come, the others decompressed. The image a
    /// name pointed at before stays, dangling if that was its last one. Dropping the
    /// future leaves no name, only content that the next prune takes.
    ///
    /// The first [`Event::Content`] comes when bytes are about to; failures before it, such
    /// as a server's refusal, come without one.
    ///
    /// # Errors
    /// Before the first byte is read: [`Error::InvalidArgument`] if the reference has a
    /// digest, a change is refused, or the URL is none; [`Error::NotFound`],
    /// [`Error::InvalidArgument`], [`Error::Unauthorized`] and [`Error::Denied`] if the
    /// server answers so, [`Error::Unavailable`] if it fails otherwise; [`Error::Denied`]
    /// for a redirect that is not allowed. After it: [`Error::InvalidArgument`] if it is
    /// no tar, leads out of itself, or is cut off; [`Error::Unavailable`] if the transfer
    /// was cut; [`Error::Unsupported`] for sparse files; [`Error::QuotaExceeded`] beyond a
    /// bound; whatever the store and the body answer.
    pub async fn import(
        &self,
        source: ImportSource<H::Body>,
        options: &ImportOptions,
        progress: &dyn Progress,
    ) -> Result<Digest> {
        let reference = options.reference.as_ref();
        if reference.is_some_and(|reference| reference.digest().is_some()) {
            return Err(Error::InvalidArgument(
                "cannot import digest reference".to_owned(),
            ));
        }
        let mut config = ContainerConfig::default();
        let applied = instruction::apply(&options.changes, &mut config);
        applied.map_err(assembly::refused)?;
        config.check().map_err(Error::over)?;
        let (body, total, origin) = match source {
            ImportSource::Body(body) => (body, None, "-".to_owned()),
            ImportSource::Url(url) => {
                let uri = fetch::parse(&url)?;
                let (body, total) = self.fetch(&uri).await?;
                (body, total, address::shown(&uri))
            }
        };
        let lease = self.store.acquire_lease().await?;
        let mut intake = Intake::new(&self.store, &self.clock, &lease, progress);
        let imported = async {
            let root = intake.run(body, total).await?;
            let config = self.imported_config(config, &root, &origin, options);
            let layers = [root.layer];
            let target = self.put_image(&config, &layers, &lease).await?;
            let changed = self.name_image(reference, &target).await?;
            Ok((target, changed))
        };
        let imported = imported.await;
        let unneeded = intake.into_unneeded();
        drop(lease);
        self.clear(unneeded).await;
        let (Target { digest, size, .. }, changed) = imported?;
        if let Some(reference) = reference {
            progress.report(Event::Completed(Completed {
                reference: reference.clone().with_default_tag(),
                digest: digest.clone(),
                size,
                changed,
            }));
        }
        Ok(digest)
    }

    fn imported_config(
        &self,
        config: ContainerConfig,
        root: &Root,
        origin: &str,
        options: &ImportOptions,
    ) -> ImageConfig {
        let (seconds, nanoseconds) = self.clock.now();
        let created = timestamp::format_rfc3339_nano(seconds, nanoseconds);
        let platform = options.platform.as_ref();
        let platform = platform.unwrap_or(&self.settings.platform).clone();
        let message = options.message.clone();
        ImageConfig {
            created: Some(created.clone()),
            architecture: platform.architecture,
            os: platform.os,
            os_version: platform.os_version,
            os_features: platform.os_features,
            variant: platform.variant,
            config: Some(config),
            rootfs: RootFs {
                type_: "layers".to_owned(),
                diff_ids: vec![root.diff_id.clone()],
            },
            history: vec![History {
                created: Some(created),
                comment: Some(message.unwrap_or_else(|| format!("Imported from {origin}"))),
                ..History::default()
            }],
            ..ImageConfig::default()
        }
    }
}
