//! Containers as names: which there are, and which use an image.
//!
//! Containers have their own name space, read with the images' into one
//! [`Snapshot`]: a record's name is the container's ID, its labels say the rest.

use std::rc::Rc;

use strata_oci::{Descriptor, Digest, ImageConfig, Platform};

use super::{Found, Snapshot, documents::descriptor, view::ManifestView};
use crate::{Engine, Error, Host, Name, Result, Target};

/// The name space of containers.
pub(crate) const CONTAINERS: &str = "containers";
/// Characters of a container's ID that people are shown.
const SHORT_ID: usize = 12;

/// The label with the digest of the image's target.
const IMAGE: &str = "image";
/// The label with the image as it was asked for.
const IMAGE_NAME: &str = "name";
/// The label that says whether the container runs.
const RUNNING: &str = "running";
/// The label with the container's own name.
const OWN_NAME: &str = "container-name";

/// A container, as far as its name says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its ID.
    pub(crate) id: String,
    /// Its own name: label `container-name`; empty if it has none.
    pub(crate) own_name: String,
    /// What its name points at.
    pub(crate) target: Target,
    /// Target of the image it was made from: label `image`.
    pub(crate) image: Digest,
    /// The reference or ID it was made by: label `name`.
    pub(crate) name: String,
    /// Label `running` is `true`.
    pub(crate) running: bool,
    /// Milliseconds since 1970, when it was first named.
    pub(crate) created: i64,
}

impl Container {
    /// Reads a record. One that does not say which image it uses, because that was damaged, uses none.
    pub(crate) fn from_record(record: &Name) -> Self {
        let label = |key: &str| {
            let found = record.labels.iter().find(|(name, _)| name == key);
            found.map(|(_, value)| value.as_str())
        };
        let image = label(IMAGE).and_then(|text| Digest::parse(text).ok());
        Self {
            id: record.name.clone(),
            own_name: label(OWN_NAME).unwrap_or_default().to_owned(),
            target: record.target.clone(),
            // What it points at itself is no image.
            image: image.unwrap_or_else(|| record.target.digest.clone()),
            name: label(IMAGE_NAME).unwrap_or_default().to_owned(),
            running: label(RUNNING) == Some("true"),
            created: record.created,
        }
    }

    /// The labels that [`Container::from_record`] reads, in key order.
    pub(crate) fn labels(&self) -> Vec<(String, String)> {
        let running = if self.running { "true" } else { "false" };
        let labels = [
            (OWN_NAME, self.own_name.as_str()),
            (IMAGE, self.image.as_str()),
            (IMAGE_NAME, self.name.as_str()),
            (RUNNING, running),
        ];
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        labels.into_iter().map(owned).collect()
    }

    /// The short ID that conflict texts name.
    pub(crate) fn short_id(&self) -> &str {
        self.id.get(..SHORT_ID).unwrap_or(&self.id)
    }

    /// What people call it: its own name, else the short ID.
    pub(crate) fn shown(&self) -> &str {
        match self.own_name.as_str() {
            "" => self.short_id(),
            name => name,
        }
    }
}

impl Snapshot {
    /// The containers made from the image with this target.
    pub(crate) fn containers_using(&self, target: &Digest) -> &[Container] {
        self.containers.get(target).map_or(&[], Vec::as_slice)
    }

    /// Every container, in no order.
    pub(crate) fn all_containers(&self) -> impl Iterator<Item = &Container> {
        self.containers.values().flatten()
    }
}

/// What a container is made from: a complete image for one platform.
pub(crate) struct Basis {
    /// The snapshot it was found in.
    pub(crate) snapshot: Rc<Snapshot>,
    /// The image's target.
    pub(crate) image: Descriptor,
    /// The platform's manifest.
    pub(crate) manifest: Descriptor,
    /// The platform.
    pub(crate) platform: Platform,
    /// Its config.
    pub(crate) config: Rc<ImageConfig>,
}

impl<H: Host> Engine<H> {
    /// Finds what a container of the image `text` names would be made from: exactly
    /// `platform`, or the host's best.
    ///
    /// # Errors
    /// As [`Engine::resolve`]; [`Error::PlatformMismatch`] if the platform is not in it;
    /// [`Error::NotFound`] if there is nothing complete.
    pub(crate) async fn basis(&self, text: &str, platform: Option<&Platform>) -> Result<Basis> {
        self.settled(
            |names| names.target_of(text),
            async |names| self.basis_of(&names.resolve(text)?, platform).await,
            |_| true,
        )
        .await
    }

    async fn basis_of(&self, found: &Found, platform: Option<&Platform>) -> Result<Basis> {
        let image = found.image()?;
        let view = self.view(image).await?;
        let chosen = match platform {
            Some(platform) => {
                let chosen = found.for_platform(&view, platform);
                Some(chosen.map_err(|error| match error {
                    Error::NotFound(text) => Error::PlatformMismatch(text),
                    error => error,
                })?)
            }
            None => view.best(),
        };
        let incomplete = || match (&view.damage, found.familiar()) {
            (Some(reason), _) if !view.is_incomplete => found.damaged(reason),
            // Then clients pull it.
            (_, Ok(familiar)) => Error::NotFound(format!(
                "content of image {familiar} is not complete here, pull it again"
            )),
            (_, Err(error)) => error,
        };
        let chosen = chosen.filter(|it| it.available).ok_or_else(incomplete)?;
        let manifest = chosen.manifest().ok_or_else(incomplete)?;
        let config = match self.image_config(&manifest.config.digest).await {
            Err(error @ Error::Damaged(_)) => return Err(found.damaged(&error.to_string())),
            config => config?,
        };
        Ok(Basis {
            image: descriptor(&image.target),
            manifest: chosen.descriptor.clone(),
            platform: stated(chosen).ok_or_else(incomplete)?,
            config: config.ok_or_else(incomplete)?,
            snapshot: found.snapshot.clone(),
        })
    }

    /// The image config with this digest; `None` if it is not here or is none.
    pub(crate) async fn image_config(&self, digest: &Digest) -> Result<Option<Rc<ImageConfig>>> {
        match self.config(digest).await {
            Ok(config) => Ok(Some(config.image.clone())),
            Err(Error::NotFound(_) | Error::ManifestInvalid(_) | Error::QuotaExceeded(_)) => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The platform of an image that is complete.
fn stated(manifest: &ManifestView) -> Option<Platform> {
    manifest.platform().cloned()
}
