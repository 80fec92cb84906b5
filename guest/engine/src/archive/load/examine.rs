//! What of the images is here, once the whole archive has arrived.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{
    Descriptor, Digest, Document, Manifest, Platform,
    document::{DocumentError, MAX_DOCUMENT_BYTES},
    media_type::{self, Kind},
};

use super::Image;
use crate::{
    Engine, Error, Result, Store, Target,
    archive::invalid,
    catalog::{Companion, Documents, Referrer},
};

/// An image as it is here.
pub(super) struct Examined {
    /// What its name will point at.
    pub(super) target: Target,
    /// Whether that is an index.
    pub(super) is_index: bool,
    /// Its manifests, in order; those of nested indexes in their place.
    pub(super) parts: Vec<Part>,
    /// Every document of it that is here.
    documents: HashSet<Digest>,
    /// What it is about, if it says so.
    subject: Option<Digest>,
    /// It is no image, but belongs to another one.
    pub(super) companion: Option<Companion>,
}

/// Tells what is no image: without a name, and about something that comes along. What it
/// is about must be kept without it, so it takes rounds, as [`Engine::mark`] does.
pub(super) fn find_companions(images: &[Image], examined: &mut [Examined]) {
    let here = examined.iter().flat_map(|it| &it.documents);
    let here: HashSet<Digest> = here.cloned().collect();
    let mut kept = HashSet::new();
    let mut rest = Vec::new();
    for (image, examined) in images.iter().zip(examined) {
        match examined.subject.clone() {
            Some(subject) if image.name.is_none() && here.contains(&subject) => {
                rest.push((subject, examined));
            }
            _ => kept.extend(examined.documents.iter().cloned()),
        }
    }
    loop {
        let (found, others): (Vec<_>, Vec<_>) = rest
            .into_iter()
            .partition(|(subject, _)| kept.contains(subject));
        if found.is_empty() {
            return;
        }
        for (subject, examined) in found {
            kept.extend(examined.documents.iter().cloned());
            let target = examined.target.clone();
            examined.companion = Some(Companion { subject, target });
        }
        rest = others;
    }
}

/// A manifest of an image.
pub(super) struct Part {
    /// Its digest.
    pub(super) digest: Digest,
    /// The platform its index says it is for.
    pub(super) platform: Option<Platform>,
    /// Whether it is about another manifest rather than an image.
    pub(super) is_attestation: bool,
    /// Its document, if that is here.
    document: Option<Rc<Document>>,
    /// The first of its content that is not here.
    pub(super) missing: Option<Digest>,
    /// Whether it was asked for.
    pub(super) is_wanted: bool,
}

impl Part {
    /// The manifest, if it is here.
    pub(super) fn manifest(&self) -> Option<&Manifest> {
        match self.document.as_deref()? {
            Document::Manifest(manifest) => Some(manifest),
            Document::Index(_) => None,
        }
    }
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Looks at the content of images. The lease protects all of it that is here, also
    /// what was here before.
    pub(super) async fn examine(
        &self,
        images: &[Image],
        lease: &S::Lease,
    ) -> Result<Vec<Examined>> {
        let roots: Vec<&Descriptor> = images.iter().map(|image| &image.descriptor).collect();
        let digests: Vec<Digest> = roots.iter().map(|root| root.digest.clone()).collect();
        let sizes = self.stat(digests, lease).await?;
        let mut targets = Vec::with_capacity(images.len());
        for image in images {
            let Descriptor {
                media_type, digest, ..
            } = &image.descriptor;
            let Some(size) = sizes.get(digest).copied() else {
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
        let mut digests: Vec<Digest> = documents.keys().cloned().collect();
        for stored in documents.values() {
            let children = stored.document.iter().flat_map(|it| it.children());
            digests.extend(children.map(|child| child.digest.clone()));
        }
        let sizes = self.stat(digests, lease).await?;
        let here = Here { documents, sizes };
        let mut examined = Vec::with_capacity(images.len());
        for (image, target) in images.iter().zip(targets) {
            if here.document(&target.digest).is_none() {
                return Err(self.no_document(&target).await);
            }
            examined.push(here.examine(&image.descriptor, target)?);
        }
        Ok(examined)
    }

    /// Sizes of what is here of `digests`.
    async fn stat(
        &self,
        mut digests: Vec<Digest>,
        lease: &S::Lease,
    ) -> Result<HashMap<Digest, u64>> {
        digests.sort();
        digests.dedup();
        if digests.is_empty() {
            return Ok(HashMap::new());
        }
        let sizes = self.store.stat_all(&digests, Some(lease)).await?;
        let sizes = digests.into_iter().zip(sizes);
        Ok(sizes
            .filter_map(|(digest, size)| Some((digest, size?)))
            .collect())
    }

    /// Why content that must be a manifest or index is none.
    async fn no_document(&self, target: &Target) -> Error {
        let limit = MAX_DOCUMENT_BYTES as u64;
        let bytes = match self.store.get(&target.digest, limit).await {
            Ok(bytes) => bytes,
            Err(error) => return error,
        };
        match Document::parse("", &bytes) {
            Err(error @ (DocumentError::Schema1 | DocumentError::UnsupportedMediaType(_))) => {
                Error::Unsupported(format!("{}: {error}", target.digest))
            }
            Err(error) => invalid(format_args!("{}: {error}", target.digest)),
            Ok(_) => Error::Internal(format!("{} came and went", target.digest)),
        }
    }
}

/// What is here.
struct Here {
    documents: Documents,
    sizes: HashMap<Digest, u64>,
}

impl Here {
    /// The document with this digest.
    fn document(&self, digest: &Digest) -> Option<&Rc<Document>> {
        // What went after it was read counts as gone.
        self.sizes.get(digest)?;
        self.documents.get(digest)?.document.as_ref()
    }

    fn examine(&self, root: &Descriptor, mut target: Target) -> Result<Examined> {
        let document = self.document(&root.digest);
        if media_type::kind(&target.media_type) == Kind::Other
            && let Some(document) = document
        {
            target.media_type = own_media_type(document);
        }
        let is_index = matches!(document.map(Rc::as_ref), Some(Document::Index(_)));
        let about = document.and_then(|it| Referrer::of(root, it));
        let mut documents = HashSet::new();
        let mut parts = Vec::new();
        let mut seen = HashSet::new();
        let mut stack = vec![root];
        while let Some(descriptor) = stack.pop() {
            self.check_size(descriptor)?;
            let document = self.document(&descriptor.digest);
            if let Some(document) = document {
                check_type(descriptor, document)?;
                documents.insert(descriptor.digest.clone());
            }
            match document.map(Rc::as_ref) {
                // Indexes below each other could otherwise list one another for ever.
                Some(Document::Index(index)) => {
                    if seen.insert(&descriptor.digest) {
                        stack.extend(index.manifests.iter().rev());
                    }
                }
                Some(Document::Manifest(manifest)) => {
                    let missing = self.first_missing(manifest)?;
                    parts.push(part(descriptor, document.cloned(), missing));
                }
                // Content of unknown kind: here or not, there is no more to it.
                None if self.sizes.contains_key(&descriptor.digest) => {}
                None => {
                    let missing = Some(descriptor.digest.clone());
                    parts.push(part(descriptor, None, missing));
                }
            }
        }
        Ok(Examined {
            target,
            is_index,
            parts,
            documents,
            subject: about.map(|it| it.subject),
            companion: None,
        })
    }

    /// What of a manifest is not here. Foreign layers never are, and need not be.
    fn first_missing(&self, manifest: &Manifest) -> Result<Option<Digest>> {
        let mut missing = None;
        for child in std::iter::once(&manifest.config).chain(&manifest.layers) {
            self.check_size(child)?;
            let foreign = media_type::kind(&child.media_type) == Kind::ForeignLayer;
            if !foreign && !self.sizes.contains_key(&child.digest) && missing.is_none() {
                missing = Some(child.digest.clone());
            }
        }
        Ok(missing)
    }

    fn check_size(&self, descriptor: &Descriptor) -> Result<()> {
        match self.sizes.get(&descriptor.digest) {
            Some(size) if *size != descriptor.size => Err(invalid(format_args!(
                "failed size validation: {} has {size} bytes, its descriptor says {}",
                descriptor.digest, descriptor.size
            ))),
            _ => Ok(()),
        }
    }
}

fn part(descriptor: &Descriptor, document: Option<Rc<Document>>, missing: Option<Digest>) -> Part {
    Part {
        digest: descriptor.digest.clone(),
        platform: descriptor.platform.clone(),
        is_attestation: descriptor.is_attestation(),
        document,
        missing,
        is_wanted: true,
    }
}

/// The media type a document states, or else the one it has by its members.
fn own_media_type(document: &Document) -> String {
    let (stated, default) = match document {
        Document::Index(index) => (&index.media_type, media_type::OCI_INDEX),
        Document::Manifest(manifest) => (&manifest.media_type, media_type::OCI_MANIFEST),
    };
    stated.clone().unwrap_or_else(|| default.to_owned())
}

/// Nobody else shall read as something else what is an image here.
fn check_type(descriptor: &Descriptor, document: &Document) -> Result<()> {
    let announced = media_type::essence(&descriptor.media_type);
    let stated = match document {
        Document::Index(index) => &index.media_type,
        Document::Manifest(manifest) => &manifest.media_type,
    };
    let agrees = match media_type::kind(announced) {
        Kind::Index => matches!(document, Document::Index(_)),
        Kind::Manifest => matches!(document, Document::Manifest(_)),
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
        own_media_type(document)
    )))
}
