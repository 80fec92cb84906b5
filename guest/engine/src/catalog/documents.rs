//! Manifests and indexes, several at once, and blobs small enough to be read whole.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use futures::stream::{self, StreamExt as _};
use strata_oci::{
    Descriptor, Digest, Document,
    document::MAX_DOCUMENT_BYTES,
    media_type::{self, Kind},
};

use super::{content::Content, facts::Origin, snapshot::Image, walk::Walk, weight};
use crate::{Engine, Error, Host, Result, Store, Target, pace::Pace};

/// Small blobs read at the same time: enough to keep the store's threads busy,
/// few enough that their bytes together stay small.
pub(super) const PARALLEL_READS: usize = 16;
/// Bytes of small blobs read at the same time; a larger one is read alone.
const PARALLEL_BYTES: u64 = 4 << 20;
/// What the documents that are looked at together may take in memory: a hundred times those of an index of twenty
/// platforms with a hundred layers each.
pub(super) const DOCUMENTS_WEIGHT: usize = 64 << 20;

/// The documents that some targets reach, and other content they name, by
/// digest. Only what is here.
pub(crate) type Documents = HashMap<Digest, Stored>;

/// A blob that is here.
pub(crate) struct Stored {
    /// What it says, if it is a manifest or index that can be read.
    pub(crate) document: Option<Rc<Document>>,
}

/// Whether a blob is read as a manifest or index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readable {
    /// It is announced as one.
    Yes,
    /// Names adopted from other tools may lack a type: the bytes decide then.
    Perhaps,
    /// It is announced as something else.
    No,
}

impl Readable {
    /// What content announced as `media_type` is.
    pub(super) fn announced(media_type: &str) -> Self {
        match media_type::kind(media_type) {
            Kind::Index | Kind::Manifest => Self::Yes,
            Kind::Other => match media_type::essence(media_type) {
                "" | "application/json" | "application/octet-stream" => Self::Perhaps,
                _ => Self::No,
            },
            Kind::Config | Kind::Layer | Kind::ForeignLayer | Kind::Schema1 => Self::No,
        }
    }
}

/// Whether content announced as `media_type` may be a manifest or index.
pub(crate) fn may_be_document(media_type: &str) -> bool {
    Readable::announced(media_type) != Readable::No
}

impl<H: Host> Engine<H> {
    /// Every document that `roots` reach and that is here, all at once; see [`Engine::advance`].
    ///
    /// # Errors
    /// As the store's `stat_all` and `get`: what cannot be read now must not pass
    /// for a document without children. [`Error::QuotaExceeded`] if they take more
    /// than 64 MiB of memory.
    pub(crate) async fn documents(&self, roots: &[Target]) -> Result<Documents> {
        match self.readable_documents(roots).await? {
            (documents, None) => Ok(documents),
            (_, Some(error)) => Err(error),
        }
    }

    /// The same without those that cannot be read, and why the first of them cannot.
    ///
    /// # Errors
    /// As the store's `stat_all`; [`Error::QuotaExceeded`] if they take more than 64 MiB of memory.
    pub(crate) async fn readable_documents(
        &self,
        roots: &[Target],
    ) -> Result<(Documents, Option<Error>)> {
        let mut documents = Documents::new();
        let mut unread = None;
        let mut weight = 0_usize;
        let mut walk = Walk::new(None, roots);
        while let Some(visited) = self.advance(&mut walk).await? {
            for it in visited {
                let document = match it.content {
                    Content::Document(document) => {
                        weight = weight.saturating_add(weight::document(&document));
                        Some(document)
                    }
                    Content::Unparsable(_) | Content::Other => None,
                    Content::Absent => continue,
                    Content::Damaged(error) => {
                        unread.get_or_insert(error);
                        continue;
                    }
                };
                if weight > DOCUMENTS_WEIGHT {
                    return Err(too_heavy(roots));
                }
                documents.insert(it.digest, Stored { document });
            }
        }
        Ok((documents, unread))
    }

    /// The digests of the documents of each of these images, parents first: those that are here, and the root. Only
    /// indexes are read. An image whose documents are too heavy to be looked at has only its root.
    ///
    /// # Errors
    /// As the store's `stat_all`.
    pub(crate) async fn documents_of(&self, images: &[&Image]) -> Result<Vec<Vec<Digest>>> {
        if let Some(here) = self.documents_here(images).await? {
            return Ok(images.iter().map(|image| in_order(image, &here)).collect());
        }
        let mut all = Vec::with_capacity(images.len());
        for image in images {
            let here = self.documents_here(&[image]).await?.unwrap_or_default();
            all.push(in_order(image, &here));
        }
        Ok(all)
    }

    /// The documents that are here of some images; `None` if they are too heavy together.
    async fn documents_here(
        &self,
        images: &[&Image],
    ) -> Result<Option<HashMap<Digest, Rc<Document>>>> {
        let mut here = HashMap::new();
        let mut weight = 0_usize;
        let targets = images.iter().map(|image| &image.target);
        let indexes =
            targets.filter(|target| media_type::kind(&target.media_type) != Kind::Manifest);
        let mut walk = Walk::new(None, indexes);
        while let Some(visited) = self.advance(&mut walk).await? {
            for it in visited {
                if let Content::Document(document) = it.content {
                    weight = weight.saturating_add(weight::document(&document));
                    here.insert(it.digest, document);
                }
            }
            if weight > DOCUMENTS_WEIGHT {
                return Ok(None);
            }
        }
        Ok(Some(here))
    }

    /// Shows `see` the manifests and indexes among blobs, one by one. The store is asked only
    /// about those it was never asked about.
    ///
    /// # Errors
    /// As the store's `stat_all`; what cannot be read is not shown.
    pub(super) async fn each_document(
        &self,
        digests: Vec<Digest>,
        mut see: impl FnMut(&Digest, &Document),
    ) -> Result<()> {
        let mut pace = Pace::default();
        let mut unknown = Vec::new();
        for digest in digests {
            pace.steps(1).await;
            let known = self.catalog.documents.borrow_mut().get(&digest);
            match known.filter(|(_, origin)| *origin == Origin::Bytes) {
                Some((Content::Document(document), _)) => see(&digest, &document),
                Some(_) => {}
                None => unknown.push(digest),
            }
        }
        let sizes = self.sizes(&unknown).await?;
        let here = unknown.into_iter().zip(sizes);
        let here = here.filter_map(|(digest, size)| Some((digest, size?)));
        let wanted = here.filter(|(_, size)| *size <= MAX_DOCUMENT_BYTES as u64);
        for part in parts(wanted) {
            let reads = part.into_iter().map(|digest| async move {
                let content = self.read_document(&digest).await?;
                Ok::<_, Error>((digest, content))
            });
            let mut reads = stream::iter(reads).buffer_unordered(PARALLEL_READS);
            while let Some(read) = reads.next().await {
                let (digest, content) = read?;
                if let Some(document) = content.document() {
                    see(&digest, document);
                }
            }
        }
        Ok(())
    }

    /// Reads small blobs, each as `take` is given it: few bytes at once, however many
    /// there are. What cannot be read is an error for `take`.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only.
    pub(super) async fn read_each(
        &self,
        wanted: Vec<(Digest, u64)>,
        limit: usize,
        mut take: impl FnMut(Digest, Result<Vec<u8>>),
    ) -> Result<()> {
        for part in parts(wanted) {
            let reads = part.into_iter().map(|digest| async move {
                let bytes = self.store.get(&digest, limit as u64).await;
                (digest, bytes)
            });
            let mut reads = stream::iter(reads).buffer_unordered(PARALLEL_READS);
            while let Some((digest, bytes)) = reads.next().await {
                match bytes {
                    Err(Error::Cancelled) => return Err(Error::Cancelled),
                    bytes => take(digest, bytes),
                }
            }
        }
        Ok(())
    }

    /// The sizes of these blobs, `None` for what is not here; no call for none.
    pub(super) async fn sizes(&self, digests: &[Digest]) -> Result<Vec<Option<u64>>> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        self.store.stat_all(digests, None).await
    }
}

/// What of `here` an image consists of, parents first.
fn in_order(image: &Image, here: &HashMap<Digest, Rc<Document>>) -> Vec<Digest> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    let mut stack = vec![&image.target.digest];
    while let Some(digest) = stack.pop() {
        let document = here.get(digest);
        let is_root = *digest == image.target.digest;
        if (document.is_none() && !is_root) || !seen.insert(digest) {
            continue;
        }
        order.push(digest.clone());
        if let Some(Document::Index(index)) = document.map(Rc::as_ref) {
            stack.extend(index.manifests.iter().rev().map(|child| &child.digest));
        }
    }
    order
}

/// Blobs with their sizes, in parts of few bytes; a larger blob is a part.
fn parts(wanted: impl IntoIterator<Item = (Digest, u64)>) -> impl Iterator<Item = Vec<Digest>> {
    let mut wanted = wanted.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut bytes = 0_u64;
        let mut part = Vec::new();
        while let Some((digest, size)) = wanted.next() {
            bytes = bytes.saturating_add(size);
            part.push(digest);
            let next = wanted.peek().map_or(0, |(_, size)| *size);
            if bytes.saturating_add(next) > PARALLEL_BYTES {
                break;
            }
        }
        (!part.is_empty()).then_some(part)
    })
}

/// What to say of documents that take more memory than [`DOCUMENTS_WEIGHT`].
fn too_heavy(roots: &[Target]) -> Error {
    let first = roots.first().map(|root| root.digest.to_string());
    Error::QuotaExceeded(format!(
        "the manifests of {} take more than {} MiB of memory, the limit",
        first.unwrap_or_default(),
        DOCUMENTS_WEIGHT >> 20
    ))
}

/// The target of a name as a descriptor.
pub(super) fn descriptor(target: &Target) -> Descriptor {
    Descriptor::new(&target.media_type, target.digest.clone(), target.size)
}
