//! Which manifests of an index are pulled.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
};

use futures::future::{FutureExt as _, LocalBoxFuture};
use strata_oci::{
    Descriptor, Digest, Document, ImageConfig, Index, Manifest, Platform,
    media_type::{self, Kind},
};

use super::Pull;
use crate::{Error, Host, Result, Target, graph::MAX_INDEX_DEPTH};

/// The most documents looked into to find out what they are. Only entries without
/// a platform and nested indexes cost one; an index of thousands of them is an
/// attack on the registry, by way of us.
const MAX_DOCUMENTS_PROBED: usize = 64;

/// What is pulled.
#[allow(
    clippy::large_enum_variant,
    reason = "large on 64-bit targets only; one is alive at a time"
)]
pub(super) enum Chosen {
    /// One image for each platform, each once.
    Images(Vec<Image>),
    /// All that the index lists.
    Everything(Index),
}

/// One image.
pub(super) struct Image {
    /// The descriptor of its manifest.
    digest: Digest,
    pub(super) manifest: Manifest,
    /// Attestations of this manifest, from the same index.
    pub(super) attestations: Vec<Descriptor>,
}

impl Image {
    /// A manifest alone.
    pub(super) fn of(digest: Digest, manifest: Manifest) -> Self {
        Self {
            digest,
            manifest,
            attestations: Vec::new(),
        }
    }
}

/// A match and how good it is: 0 is best.
type Match = (usize, Image);

/// One walk through indexes, and what guards it.
struct Walk<'w> {
    /// What is looked for.
    platform: &'w Platform,
    seen: RefCell<BTreeSet<Digest>>,
    probes: Cell<usize>,
}

impl Walk<'_> {
    /// Allows a document to be looked into, once.
    fn may_probe(&self, digest: &Digest) -> Result<bool> {
        if !self.seen.borrow_mut().insert(digest.clone()) {
            return Ok(false);
        }
        let probes = self.probes.get() + 1;
        self.probes.set(probes);
        if probes > MAX_DOCUMENTS_PROBED {
            return Err(Error::ManifestInvalid(format!(
                "the index has more than {MAX_DOCUMENTS_PROBED} entries that do not say their platform"
            )));
        }
        Ok(true)
    }
}

impl<H: Host> Pull<'_, H> {
    /// What to pull: a single manifest whatever its platform; of an index all, or the
    /// best match for each platform.
    pub(super) async fn choose(&self, target: &Target, document: Document) -> Result<Chosen> {
        let index = match document {
            Document::Manifest(manifest) => {
                let image = Image::of(target.digest.clone(), manifest);
                return Ok(Chosen::Images(vec![image]));
            }
            Document::Index(index) if self.options.all_platforms => {
                return Ok(Chosen::Everything(index));
            }
            Document::Index(index) => index,
        };
        let platforms = match &self.options.platforms[..] {
            [] => std::slice::from_ref(&self.fetch.engine.settings.platform),
            several => several,
        };
        let mut images: Vec<Image> = Vec::with_capacity(platforms.len());
        for platform in platforms {
            let image = self.image_for(platform, target, &index).await?;
            if !images.iter().any(|known| known.digest == image.digest) {
                images.push(image);
            }
        }
        Ok(Chosen::Images(images))
    }

    async fn image_for(
        &self,
        platform: &Platform,
        target: &Target,
        index: &Index,
    ) -> Result<Image> {
        let walk = Walk {
            platform,
            seen: RefCell::new(BTreeSet::from([target.digest.clone()])),
            probes: Cell::new(0),
        };
        match self.best(index, 1, &walk).await? {
            Some((_, image)) => Ok(image),
            None => Err(Error::PlatformMismatch(format!(
                "no matching manifest for {platform} in the manifest list entries: no match for platform in manifest: not found"
            ))),
        }
    }

    /// The best match of an index. Entries that say their platform go before
    /// those that do not, whatever these turn out to be.
    fn best<'f>(
        &'f self,
        index: &'f Index,
        depth: usize,
        walk: &'f Walk<'_>,
    ) -> LocalBoxFuture<'f, Result<Option<Match>>> {
        async move {
            let candidates = || index.manifests.iter().filter(|entry| may_be_image(entry));
            let mut ranked: Vec<(usize, &Descriptor)> = candidates()
                .filter_map(|entry| {
                    let rank = walk.platform.rank(entry.platform.as_ref()?)?;
                    Some((rank, entry))
                })
                .collect();
            // Stable, so position decides ties.
            ranked.sort_by_key(|(rank, _)| *rank);
            for (rank, entry) in ranked {
                match self.fetch.child(entry).await? {
                    Document::Manifest(manifest) => {
                        return Ok(Some((rank, with_attestations(manifest, entry, index))));
                    }
                    Document::Index(nested) => {
                        if let Some(found) = self.nested(entry, &nested, depth, walk).await? {
                            return Ok(Some(found));
                        }
                    }
                }
            }
            let mut best: Option<Match> = None;
            for entry in candidates().filter(|entry| entry.platform.is_none()) {
                if !walk.may_probe(&entry.digest)? {
                    continue;
                }
                let found = match self.fetch.child(entry).await? {
                    Document::Manifest(manifest) => self
                        .rank_of(&manifest, walk.platform)
                        .await?
                        .map(|rank| (rank, with_attestations(manifest, entry, index))),
                    Document::Index(nested) => self.deeper(&nested, depth, walk).await?,
                };
                if let Some(found) = found
                    && best.as_ref().is_none_or(|best| found.0 < best.0)
                {
                    let exact = found.0 == 0;
                    best = Some(found);
                    if exact {
                        break;
                    }
                }
            }
            Ok(best)
        }
        .boxed_local()
    }

    /// A nested index met for its platform, unless it was met before.
    async fn nested(
        &self,
        entry: &Descriptor,
        index: &Index,
        depth: usize,
        walk: &Walk<'_>,
    ) -> Result<Option<Match>> {
        match walk.may_probe(&entry.digest)? {
            true => self.deeper(index, depth, walk).await,
            false => Ok(None),
        }
    }

    async fn deeper(&self, index: &Index, depth: usize, walk: &Walk<'_>) -> Result<Option<Match>> {
        if depth >= MAX_INDEX_DEPTH {
            return Err(Error::ManifestInvalid(format!(
                "indexes are nested more than {MAX_INDEX_DEPTH} deep"
            )));
        }
        self.best(index, depth + 1, walk).await
    }

    /// How well a manifest suits whose index entry does not say: its config does.
    async fn rank_of(&self, manifest: &Manifest, platform: &Platform) -> Result<Option<usize>> {
        if !manifest.is_image() {
            return Ok(None);
        }
        let bytes = self.config(&manifest.config).await?;
        // A config that is none makes this entry unfit, not the whole index.
        let config = ImageConfig::parse(&bytes).ok();
        Ok(config.and_then(|config| platform.rank(&config.platform())))
    }
}

/// Attestations, artifacts and what is unknown are passed over. Old indexes may
/// leave out the media type.
fn may_be_image(entry: &Descriptor) -> bool {
    let kind = media_type::kind(&entry.media_type);
    let known = matches!(kind, Kind::Manifest | Kind::Index) || entry.media_type.is_empty();
    let artifact = entry
        .artifact_type
        .as_deref()
        .is_some_and(|kind| !media_type::is_image_config(kind));
    known && !artifact && !entry.is_attestation()
}

fn with_attestations(manifest: Manifest, entry: &Descriptor, index: &Index) -> Image {
    let attestations = index.manifests.iter().filter(|other| {
        other.digest != entry.digest && other.attestation_for().as_ref() == Some(&entry.digest)
    });
    Image {
        digest: entry.digest.clone(),
        manifest,
        attestations: attestations.cloned().collect(),
    }
}
