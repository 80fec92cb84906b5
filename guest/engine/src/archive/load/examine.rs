//! What of the images is here, once the whole archive has arrived.
//!
//! Work is done for each target, not for each name of it, and some targets at a time: what
//! stays of their documents is what the rest of a load needs.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{
    Descriptor, Digest, Document, Manifest, Platform,
    document::MAX_DOCUMENT_BYTES,
    media_type::{self, Kind},
};

use super::Image;
use crate::{
    Engine, Error, Host, LeaseOf, Result, Store, Target,
    archive::invalid,
    catalog::{Documents, Referrer, ReferrerName},
    pace::Pace,
};

/// Targets whose documents are in memory together: enough to read side by side.
const TARGETS: usize = 64;
/// What all manifests and digests of an archive's images may take in memory. That is room
/// for some three hundred thousand layers, or six thousand images of fifty.
const MAX_BYTES: usize = 64 << 20;
/// What a digest takes, with its place in a map.
const DIGEST_BYTES: usize = 192;

/// The images of an archive as they are here.
#[derive(Default)]
pub(super) struct Examination {
    /// Each target once.
    pub(super) targets: Vec<Examined>,
    /// The position of its target for each image.
    positions: Vec<usize>,
}

impl Examination {
    /// Each image with its target.
    pub(super) fn pairs<'a>(
        &'a self,
        images: &'a [Image],
    ) -> impl Iterator<Item = (&'a Image, &'a Examined)> {
        let targets = self.positions.iter().map(|it| self.targets.get(*it));
        let pairs = images.iter().zip(targets);
        pairs.filter_map(|(image, target)| Some((image, target?)))
    }
}

/// What an image's name will point at, as it is here.
pub(super) struct Examined {
    /// What the name will be set to.
    pub(super) target: Target,
    /// Whether that is an index.
    pub(super) is_index: bool,
    /// Its manifests, in order, each once for a platform; those of nested indexes in their
    /// place.
    pub(super) parts: Vec<Part>,
    /// The media type it states itself.
    stated: Option<String>,
    /// Whether an image of this target has a name.
    is_named: bool,
    /// Every document of it that is here.
    documents: Vec<Digest>,
    /// What it is about, if it says so.
    subject: Option<Digest>,
    /// It is no image, but belongs to another one.
    pub(super) referrer: Option<ReferrerName>,
}

/// A manifest of an image.
pub(super) struct Part {
    /// Its digest.
    pub(super) digest: Digest,
    /// The platform its index says it is for.
    pub(super) platform: Option<Platform>,
    /// Whether it is about another manifest rather than an image.
    pub(super) is_attestation: bool,
    /// What it is made of, if it is here and an image's.
    pub(super) made_of: Option<Rc<MadeOf>>,
    /// The first of its content that is not here.
    pub(super) missing: Option<Digest>,
    /// Whether it was asked for.
    pub(super) is_wanted: bool,
}

/// The content of an image's manifest.
pub(super) struct MadeOf {
    /// Its config.
    pub(super) config: Digest,
    /// Bytes of that.
    pub(super) config_size: u64,
    /// Whether the type of the config says that it is an image's.
    pub(super) is_strict: bool,
    /// Its layers, lowest first, and whether each is to be unpacked.
    pub(super) layers: Box<[(Digest, bool)]>,
}

impl MadeOf {
    fn of(manifest: &Manifest) -> Option<Self> {
        let config = &manifest.config;
        let layers = manifest.layers.iter();
        let layers = layers.map(|layer| {
            let is_layer = media_type::kind(&layer.media_type) == Kind::Layer;
            (layer.digest.clone(), is_layer)
        });
        manifest.is_image().then(|| Self {
            config: config.digest.clone(),
            config_size: config.size,
            is_strict: media_type::kind(&config.media_type) == Kind::Config,
            layers: layers.collect(),
        })
    }
}

/// Tells what is no image: without a name, and about something that comes along. What it
/// is about must be kept without it, as in [`Engine::mark`].
pub(super) async fn find_referrers(examination: &mut Examination) {
    let mut pace = Pace::default();
    let targets = &examination.targets;
    let here: HashSet<&Digest> = targets.iter().flat_map(|it| &it.documents).collect();
    let mut about: HashMap<&Digest, Vec<usize>> = HashMap::new();
    let mut kept = Vec::new();
    for (position, target) in targets.iter().enumerate() {
        pace.steps(1).await;
        match &target.subject {
            Some(subject) if !target.is_named && here.contains(subject) => {
                about.entry(subject).or_default().push(position);
            }
            _ => kept.push(position),
        }
    }
    let mut referrers = Vec::new();
    while let Some(position) = kept.pop() {
        let documents = targets.get(position).into_iter();
        for digest in documents.flat_map(|it| &it.documents) {
            pace.steps(1).await;
            // Once one document of it is kept, all about it is.
            if let Some(found) = about.remove(digest) {
                referrers.extend_from_slice(&found);
                kept.extend(found);
            }
        }
    }
    for position in referrers {
        if let Some(it) = examination.targets.get_mut(position)
            && let Some(subject) = it.subject.clone()
        {
            let target = it.target.clone();
            it.referrer = Some(ReferrerName { subject, target });
        }
    }
}

impl<H: Host> Engine<H> {
    /// Looks at the content of images. The lease protects all of it that is here, also
    /// what was here before.
    ///
    /// # Errors
    /// [`Error::ManifestInvalid`] for content that breaks its specification or is not what
    /// a descriptor says; [`Error::QuotaExceeded`] beyond a bound; as the store's reads.
    pub(super) async fn examine(
        &self,
        images: &[Image],
        lease: &LeaseOf<H>,
    ) -> Result<Examination> {
        let mut pace = Pace::default();
        let mut examination = Examination::default();
        let mut known: HashMap<&Digest, usize> = HashMap::new();
        let mut distinct: Vec<&Image> = Vec::new();
        for image in images {
            pace.steps(1).await;
            let position = *known.entry(&image.descriptor.digest).or_insert_with(|| {
                distinct.push(image);
                distinct.len() - 1
            });
            examination.positions.push(position);
        }
        let mut here = Here::default();
        for images in distinct.chunks(TARGETS) {
            self.examine_some(images, &mut here, &mut examination, lease)
                .await?;
        }
        for (image, position) in images.iter().zip(&examination.positions) {
            pace.steps(1).await;
            if let Some(target) = examination.targets.get_mut(*position) {
                target.is_named |= image.name.is_some();
                target.check(&image.descriptor)?;
            }
        }
        Ok(examination)
    }

    /// Looks at the content of the targets of some images.
    async fn examine_some(
        &self,
        images: &[&Image],
        here: &mut Here,
        examination: &mut Examination,
        lease: &LeaseOf<H>,
    ) -> Result<()> {
        let roots = images.iter().map(|image| &image.descriptor.digest);
        self.look(roots, here, lease).await?;
        let mut targets = Vec::with_capacity(images.len());
        for image in images {
            let Descriptor {
                media_type, digest, ..
            } = &image.descriptor;
            let Some(size) = here.size(digest) else {
                return Err(invalid(format_args!(
                    "image {} is not in the archive: {digest} is missing",
                    image.title()
                )));
            };
            targets.push(Target {
                media_type: media_type.clone(),
                digest: digest.clone(),
                size,
            });
        }
        let documents = self.documents(&targets).await?;
        let children = documents.values().flat_map(|it| &it.document);
        let children = children.flat_map(|it| it.children());
        let children = children.map(|child| &child.digest);
        self.look(documents.keys().chain(children), here, lease)
            .await?;
        for (image, target) in images.iter().zip(targets) {
            let whole = Whole {
                here,
                documents: &documents,
            };
            if whole.document(&target.digest).is_none() {
                return Err(self.no_document(&target.digest).await);
            }
            let examined = whole.examine(&image.descriptor, target).await?;
            if let Some(unreadable) = examined.unreadable {
                return Err(self.no_document(&unreadable).await);
            }
            here.take(examined.weight)?;
            examination.targets.push(examined.target);
        }
        Ok(())
    }

    /// Finds out the sizes of what is here of `digests`.
    async fn look<'a>(
        &self,
        digests: impl Iterator<Item = &'a Digest>,
        here: &mut Here,
        lease: &LeaseOf<H>,
    ) -> Result<()> {
        let mut unknown = HashSet::new();
        for digest in digests {
            if !here.sizes.contains_key(digest) && unknown.insert(digest) {
                here.take(DIGEST_BYTES)?;
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        let mut unknown: Vec<Digest> = unknown.into_iter().cloned().collect();
        unknown.sort();
        let sizes = self.store.stat_all(&unknown, Some(lease)).await?;
        here.sizes.extend(unknown.into_iter().zip(sizes));
        Ok(())
    }

    /// Why content that must be a manifest or index is none.
    async fn no_document(&self, digest: &Digest) -> Error {
        let bytes = match self.store.get(digest, MAX_DOCUMENT_BYTES as u64).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match Document::parse("", &bytes) {
            Err(error) => Error::document(digest, &error),
            Ok(_) => Error::Internal(format!("{digest} came and went")),
        }
    }
}

impl Examined {
    /// Checks another descriptor of it. Nobody else shall read as something else what is an
    /// image here.
    fn check(&self, descriptor: &Descriptor) -> Result<()> {
        check_size(descriptor, self.target.size)?;
        check_type(descriptor, self.is_index, self.stated.as_deref())
    }
}

/// What is known to be here, or not.
#[derive(Default)]
struct Here {
    sizes: HashMap<Digest, Option<u64>>,
    /// Memory taken for all that stays.
    bytes: usize,
}

impl Here {
    fn size(&self, digest: &Digest) -> Option<u64> {
        self.sizes.get(digest).copied().flatten()
    }

    fn take(&mut self, bytes: usize) -> Result<()> {
        self.bytes = self.bytes.saturating_add(bytes);
        match self.bytes > MAX_BYTES {
            true => Err(Error::QuotaExceeded(format!(
                "the images of the archive have too many manifests and layers: they take more than {} MiB of memory; split the archive",
                MAX_BYTES >> 20
            ))),
            false => Ok(()),
        }
    }
}

/// Targets with their documents.
struct Whole<'a> {
    here: &'a Here,
    documents: &'a Documents,
}

/// What looking at a target came to.
struct Found {
    target: Examined,
    /// What that takes in memory.
    weight: usize,
    /// Something that says it is a manifest or index and cannot be read as one.
    unreadable: Option<Digest>,
}

impl Whole<'_> {
    /// The document with this digest.
    fn document(&self, digest: &Digest) -> Option<&Rc<Document>> {
        // What went after it was read counts as gone.
        self.here.size(digest)?;
        self.documents.get(digest)?.document.as_ref()
    }

    async fn examine(&self, root: &Descriptor, mut target: Target) -> Result<Found> {
        let mut pace = Pace::default();
        let document = self.document(&root.digest);
        if media_type::kind(&target.media_type) == Kind::Other
            && let Some(document) = document
        {
            target.media_type = document.media_type().to_owned();
        }
        let is_index = document.is_some_and(|it| it.is_index());
        let about = document.and_then(|it| Referrer::of(root, it));
        let mut documents = Vec::new();
        let mut parts = Vec::new();
        let mut seen = HashSet::new();
        let mut listed = HashSet::new();
        let mut made_of: HashMap<&Digest, (Option<Rc<MadeOf>>, Option<Digest>)> = HashMap::new();
        let mut weight = 0;
        let mut unreadable = None;
        let mut stack = vec![root];
        while let Some(descriptor) = stack.pop() {
            pace.steps(1).await;
            let digest = &descriptor.digest;
            self.check_size(descriptor)?;
            let document = self.document(digest).map(Rc::as_ref);
            if let Some(document) = document {
                let stated = document.stated_media_type();
                check_type(descriptor, document.is_index(), stated)?;
                if seen.insert(digest) {
                    documents.push(digest.clone());
                    weight += size_of::<Digest>();
                } else if is_index {
                    // Indexes below each other could otherwise list one another for ever.
                    continue;
                }
            }
            let (content, missing) = match document {
                Some(Document::Index(index)) => {
                    stack.extend(index.manifests.iter().rev());
                    continue;
                }
                Some(Document::Manifest(manifest)) => match made_of.get(digest) {
                    Some(known) => known.clone(),
                    None => {
                        pace.steps(manifest.layers.len()).await;
                        let missing = self.first_missing(manifest)?;
                        let content = MadeOf::of(manifest).map(Rc::new);
                        weight += manifest.layers.len() * size_of::<(Digest, bool)>();
                        made_of.insert(digest, (content.clone(), missing.clone()));
                        (content, missing)
                    }
                },
                None if self.here.size(digest).is_some() => {
                    let kind = media_type::kind(&descriptor.media_type);
                    if let Kind::Index | Kind::Manifest = kind {
                        unreadable = unreadable.or(Some(digest.clone()));
                    }
                    // Content of unknown kind: there is no more to it.
                    continue;
                }
                None => (None, Some(digest.clone())),
            };
            let is_attestation = descriptor.is_attestation();
            if !listed.insert((digest, &descriptor.platform, is_attestation)) {
                continue;
            }
            weight += size_of::<Part>() + descriptor.platform.as_ref().map_or(0, heap);
            parts.push(Part {
                digest: digest.clone(),
                platform: descriptor.platform.clone(),
                is_attestation,
                made_of: content,
                missing,
                is_wanted: true,
            });
            // Told at once, before the list fills the memory.
            if weight > MAX_BYTES {
                break;
            }
        }
        let stated = document.and_then(|it| it.stated_media_type().map(str::to_owned));
        Ok(Found {
            target: Examined {
                target,
                is_index,
                parts,
                stated,
                is_named: false,
                documents,
                subject: about.map(|it| it.subject),
                referrer: None,
            },
            weight,
            unreadable,
        })
    }

    /// What of a manifest is not here. Foreign layers never are, and need not be.
    fn first_missing(&self, manifest: &Manifest) -> Result<Option<Digest>> {
        let mut missing = None;
        for child in std::iter::once(&manifest.config).chain(&manifest.layers) {
            self.check_size(child)?;
            let foreign = media_type::kind(&child.media_type) == Kind::ForeignLayer;
            if !foreign && missing.is_none() && self.here.size(&child.digest).is_none() {
                missing = Some(child.digest.clone());
            }
        }
        Ok(missing)
    }

    fn check_size(&self, descriptor: &Descriptor) -> Result<()> {
        match self.here.size(&descriptor.digest) {
            Some(size) => check_size(descriptor, size),
            None => Ok(()),
        }
    }
}

/// What a platform takes besides itself.
fn heap(platform: &Platform) -> usize {
    let words = [&platform.architecture, &platform.os].into_iter();
    let words = words.chain(&platform.os_version).chain(&platform.variant);
    let words = words.chain(&platform.os_features);
    words.map(|word| word.len() + 2 * size_of::<String>()).sum()
}

fn check_size(descriptor: &Descriptor, size: u64) -> Result<()> {
    match size == descriptor.size {
        true => Ok(()),
        false => Err(invalid(format_args!(
            "failed size validation: {} has {size} bytes, its descriptor says {}",
            descriptor.digest, descriptor.size
        ))),
    }
}

fn default_type(is_index: bool) -> &'static str {
    match is_index {
        true => media_type::OCI_INDEX,
        false => media_type::OCI_MANIFEST,
    }
}

/// Whether a descriptor announces the document that is there.
fn check_type(descriptor: &Descriptor, is_index: bool, stated: Option<&str>) -> Result<()> {
    let announced = media_type::essence(&descriptor.media_type);
    let agrees = match media_type::kind(announced) {
        Kind::Index => is_index,
        Kind::Manifest => !is_index,
        _ => return Ok(()),
    };
    match stated {
        _ if !agrees => {}
        Some(stated) if stated != announced => {}
        _ => return Ok(()),
    }
    Err(invalid(format_args!(
        "{} is announced as {announced} but is {}",
        descriptor.digest,
        stated.unwrap_or_else(|| default_type(is_index))
    )))
}
