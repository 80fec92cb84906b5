//! Loading images.
//!
//! The archive is read once, in whatever order it has: content goes into the store as it
//! comes ([`intake`]), the few documents that say what the images are wait in memory. Only
//! at the end is it known what was loaded ([`layout`], [`docker`]), whether it is whole
//! ([`examine`]), and what it is called ([`crate::naming`]).

mod batches;
mod diff_ids;
mod docker;
mod examine;
mod files;
mod hints;
mod intake;
mod layout;
mod leftovers;
mod platforms;
mod reader;
mod writes;

use strata_oci::{Descriptor, Reference, archive::docker::parse_manifest};

use super::invalid;
use crate::{
    Completed, Engine, Error, Event, Host, LeaseOf, LoadOptions, Loaded, Progress, Result, Store,
};
use examine::find_referrers;
use intake::{Arrived, Intake};
use reader::Reader;

/// An image an archive says it has.
struct Image {
    /// The name it is to have, as it will be stored.
    name: Option<String>,
    /// Its manifest or index.
    descriptor: Descriptor,
}

impl Image {
    /// Its name as people write it.
    fn familiar(&self) -> Option<String> {
        let name = self.name.as_ref()?;
        Some(match self.reference() {
            Some(reference) => reference.familiar(),
            None => name.clone(),
        })
    }

    /// Its name, if that is a reference.
    fn reference(&self) -> Option<Reference> {
        let reference = Reference::parse(self.name.as_ref()?).ok()?;
        Some(reference.with_default_tag())
    }

    /// What texts call it.
    fn title(&self) -> String {
        self.familiar()
            .unwrap_or_else(|| self.descriptor.digest.to_string())
    }
}

impl<H: Host> Engine<H> {
    /// Loads every image of an archive, compressed or not: an OCI layout, else a Docker
    /// archive. A referrer without a name is no image if what it is about comes with it:
    /// it is kept as long as that.
    ///
    /// Names are set last, all or none; an image a name moves away from stays, dangling
    /// if that was its last one. Dropping the future leaves no name, only content that
    /// the next prune takes.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] if it is no archive of images or is cut off;
    /// [`Error::ManifestInvalid`] if content is missing, is not what its digest says, or
    /// breaks its specification; [`Error::PlatformMismatch`] if an image has none of the
    /// platforms asked for; [`Error::Unsupported`] for sparse files and unknown formats;
    /// [`Error::QuotaExceeded`] if it goes beyond a bound; whatever the store and the
    /// body answer.
    pub async fn load(
        &self,
        body: H::Body,
        options: &LoadOptions,
        progress: &dyn Progress,
    ) -> Result<Vec<Loaded>> {
        let body = self.store.decompress(body).await?;
        let lease = self.store.acquire_lease().await?;
        let intake = Intake::new(&self.store, &lease, progress);
        let mut arrived = intake.run(Reader::new(body)).await?;
        let images = self.images(&mut arrived, &lease).await?;
        let mut examination = self.examine(&images, &lease).await?;
        find_referrers(&mut examination).await;
        self.check(&images, &mut examination, &options.platforms)
            .await?;
        let targets = &examination.targets;
        let promised = self.promised(targets, &arrived).await?;
        if self.settings.verify_diff_ids_first {
            self.verify_diff_ids(&promised).await?;
        }
        let referrers = targets.iter().filter_map(|it| it.referrer.clone());
        let referrers: Vec<_> = referrers.collect();
        let wanted = examination.pairs(&images);
        let wanted = wanted.filter(|(_, examined)| examined.referrer.is_none());
        let wanted = wanted.map(|(image, examined)| (image, &examined.target));
        let wanted: Vec<_> = wanted.collect();
        let names = wanted
            .iter()
            .map(|(image, target)| (image.name.as_deref(), *target));
        let names: Vec<_> = names.collect();
        let brings = !arrived.new.is_empty();
        let changed = self.set_names(&names, &referrers, brings).await?;
        if !self.settings.verify_diff_ids_first && !promised.is_empty() {
            self.store.expect_diff_ids(&promised).await?;
        }
        drop(lease);
        if !options.platforms.is_empty() {
            self.remove_leftovers(targets, arrived.new).await;
        }
        for ((image, target), changed) in wanted.iter().zip(changed) {
            if let Some(reference) = image.reference() {
                progress.report(Event::Completed(Completed {
                    reference,
                    digest: target.digest.clone(),
                    size: target.size,
                    changed,
                }));
            }
        }
        let loaded = wanted.iter().map(|(image, _)| Loaded {
            name: image.familiar(),
            id: image.descriptor.digest.clone(),
        });
        Ok(loaded.collect())
    }

    /// What the documents of the archive say its images are. They are not kept.
    async fn images(&self, arrived: &mut Arrived, lease: &LeaseOf<H>) -> Result<Vec<Image>> {
        let layout = layout::images(arrived)?;
        arrived.layout = None;
        arrived.index = None;
        if let Some(images) = layout {
            return Ok(images);
        }
        let rows = match arrived.manifest.take() {
            Some(bytes) => parse_manifest(&bytes).map_err(|error| {
                invalid(format_args!("untar manifest \"manifest.json\": {error}"))
            })?,
            None => None,
        };
        let files = std::mem::take(&mut arrived.files);
        match rows {
            Some(rows) => self.docker_images(&rows, &files, lease).await,
            None => Err(Error::InvalidArgument(
                "unrecognized image format".to_owned(),
            )),
        }
    }
}
