//! Whether images are whole, and have what was asked for.

use std::collections::HashSet;

use strata_oci::{Digest, ImageConfig, Platform, config::MAX_CONFIG_BYTES};

use super::{
    Image,
    examine::{Examination, Examined, Part},
};
use crate::{Engine, Error, Host, Result, Store, archive::invalid, pace::Pace};

impl<H: Host> Engine<H> {
    /// Checks that something of each image is whole: without `platforms` anything, with
    /// them everything for them. Marks what was asked for: referrers always are.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] and [`Error::PlatformMismatch`].
    pub(super) async fn check(
        &self,
        images: &[Image],
        examination: &mut Examination,
        platforms: &[Platform],
    ) -> Result<()> {
        let mut pace = Pace::default();
        for (image, target) in examination.pairs(images) {
            pace.steps(1).await;
            if platforms.is_empty() || target.referrer.is_some() {
                check_whole(image, target)?;
            }
        }
        if platforms.is_empty() {
            return Ok(());
        }
        let wanted = |offered: &Platform| platforms.iter().any(|it| it.matches(offered));
        let words: Vec<String> = platforms.iter().map(Platform::format).collect();
        let words = format!("[{}]", words.join(" "));
        let is_stated = examination.pairs(images).any(|(image, target)| {
            let stated = &image.descriptor.platform;
            target.referrer.is_none() && stated.as_ref().is_none_or(wanted)
        });
        if !is_stated {
            return Err(Error::PlatformMismatch(format!(
                "requested platform(s) ({words}) not found: image might be filtered out"
            )));
        }
        let mut without: HashSet<Digest> = HashSet::new();
        for examined in &mut examination.targets {
            if examined.referrer.is_some() {
                continue;
            }
            let is_index = examined.is_index;
            let mut provides = false;
            for part in &mut examined.parts {
                pace.steps(1).await;
                let platform = self.platform(part).await?;
                part.is_wanted = platform.as_ref().is_some_and(wanted);
                match &part.missing {
                    None => provides |= part.is_wanted,
                    Some(missing) if part.is_wanted || !is_index => {
                        return Err(Error::PlatformMismatch(format!(
                            "requested platform(s) ({words}) found, but some content is missing: content digest {missing}: not found"
                        )));
                    }
                    Some(_) => {}
                }
            }
            if !provides {
                without.insert(examined.target.digest.clone());
            }
        }
        let lacking = images.iter().map(|image| (image, &image.descriptor.digest));
        let lacking = lacking.filter(|(_, digest)| without.contains(digest));
        let lacking: Vec<String> = lacking.map(|(image, _)| image.title()).collect();
        Err(Error::PlatformMismatch(match lacking.as_slice() {
            [] => return Ok(()),
            [one] => format!(
                "image {one} was loaded, but doesn't provide the requested platform ({words})"
            ),
            more => format!(
                "images [{}] were loaded, but don't provide the requested platform ({words})",
                more.join(", ")
            ),
        }))
    }

    /// The platform of a manifest: its index says it, or its config.
    async fn platform(&self, part: &Part) -> Result<Option<Platform>> {
        if part.platform.is_some() {
            return Ok(part.platform.clone());
        }
        let Some(image) = &part.made_of else {
            return Ok(None);
        };
        let limit = MAX_CONFIG_BYTES as u64;
        match self.store.get(&image.config, limit).await {
            // A config that is none has no platform.
            Ok(bytes) => Ok(ImageConfig::parse(&bytes).ok().map(|it| it.platform())),
            Err(Error::NotFound(_) | Error::QuotaExceeded(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether there is anything to an image. Of an index, one image is enough: archives for
/// one machine have no other.
fn check_whole(image: &Image, examined: &Examined) -> Result<()> {
    let parts = examined.parts.iter().filter(|part| !part.is_attestation);
    let mut missing = None;
    for part in parts {
        match &part.missing {
            None => return Ok(()),
            Some(digest) => missing = missing.or(Some(digest)),
        }
    }
    match missing {
        None => Ok(()),
        Some(digest) => Err(invalid(format_args!(
            "image {} is incomplete in the archive: {digest} is missing",
            image.title()
        ))),
    }
}
