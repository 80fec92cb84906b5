//! Loading manifests, indexes and configs: many at once, each only once.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
};

use futures::stream::{self, StreamExt as _};
use strata_oci::{
    Descriptor, Digest, Document, ImageConfig, Platform,
    config::MAX_CONFIG_BYTES,
    document::MAX_DOCUMENT_BYTES,
    media_type::{self, Kind},
    timestamp,
};

use crate::{Engine, Error, Result, Store, Target};

/// Small blobs read at the same time: enough to keep the store's threads busy,
/// few enough that their bytes together stay small.
const PARALLEL_READS: usize = 16;

/// The documents that some targets reach, and other content they name, by
/// digest. Only what is here.
pub(crate) type Documents = HashMap<Digest, Stored>;

/// A blob that is here.
pub(crate) struct Stored {
    /// Its bytes.
    pub(crate) size: u64,
    /// What it says, if it is a manifest or index that can be read.
    pub(crate) document: Option<Rc<Document>>,
}

/// A config as stored and as read.
pub(crate) struct Config {
    /// As stored.
    pub(crate) bytes: Rc<[u8]>,
    /// As read.
    pub(crate) image: Rc<ImageConfig>,
}

/// What listings and filters need of a config.
pub(crate) struct Essentials {
    /// The platform it states.
    pub(crate) platform: Platform,
    /// When the image was made: Unix seconds and nanoseconds.
    pub(crate) created: Option<(i64, u32)>,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
}

impl Essentials {
    fn of(config: &ImageConfig) -> Self {
        let created = config.created.as_deref();
        let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        Self {
            platform: config.platform(),
            created: created.and_then(timestamp::parse_rfc3339),
            labels: config.labels().map(owned).collect(),
        }
    }
}

/// Whether content announced as `media_type` may be a manifest or index. Names
/// adopted from other tools may lack a type: the bytes decide then.
pub(crate) fn may_be_document(media_type: &str) -> bool {
    match media_type::kind(media_type) {
        Kind::Index | Kind::Manifest => true,
        Kind::Other => matches!(
            media_type::essence(media_type),
            "" | "application/json" | "application/octet-stream"
        ),
        Kind::Config | Kind::Layer | Kind::ForeignLayer | Kind::Schema1 => false,
    }
}

impl<S: Store, T, C> Engine<S, T, C> {
    /// Every document that `roots` reach and that is here. Each is visited once,
    /// so neither depth nor cycles matter. Configs and layers are not visited.
    ///
    /// # Errors
    /// As the store's `stat_all` and `get`: what cannot be read now must not pass
    /// for a document without children.
    pub(crate) async fn documents(&self, roots: &[Target]) -> Result<Documents> {
        let mut documents = Documents::new();
        let mut seen = HashSet::new();
        let mut frontier: Vec<(Digest, bool)> = Vec::new();
        for root in roots {
            if seen.insert(root.digest.clone()) {
                let readable = may_be_document(&root.media_type);
                frontier.push((root.digest.clone(), readable));
            }
        }
        while !frontier.is_empty() {
            let level = std::mem::take(&mut frontier);
            let (digests, readable): (Vec<_>, Vec<_>) = level.into_iter().unzip();
            let sizes = self.sizes(&digests).await?;
            let mut wanted = Vec::new();
            for ((digest, readable), size) in digests.into_iter().zip(readable).zip(sizes) {
                let Some(size) = size else { continue };
                if readable && size <= MAX_DOCUMENT_BYTES as u64 {
                    wanted.push((digest, size));
                } else {
                    let document = None;
                    documents.insert(digest, Stored { size, document });
                }
            }
            for (digest, size, document) in self.read_documents(wanted).await? {
                if let Some(Document::Index(index)) = document.as_deref() {
                    for child in &index.manifests {
                        if seen.insert(child.digest.clone()) {
                            let readable = may_be_document(&child.media_type);
                            frontier.push((child.digest.clone(), readable));
                        }
                    }
                }
                documents.insert(digest, Stored { size, document });
            }
        }
        Ok(documents)
    }

    /// The manifests and indexes among what names point at. The store is asked only
    /// about those it was never asked about.
    ///
    /// # Errors
    /// As the store's `stat_all` and `get`.
    pub(super) async fn stored_documents(
        &self,
        digests: Vec<Digest>,
    ) -> Result<Vec<(Digest, Rc<Document>)>> {
        let mut documents = Vec::with_capacity(digests.len());
        let mut unknown = Vec::new();
        for digest in digests {
            match self.catalog.documents.borrow_mut().get(&digest) {
                Some(document) => documents.extend(document.map(|it| (digest, it))),
                None => unknown.push(digest),
            }
        }
        let sizes = self.sizes(&unknown).await?;
        let here = unknown.into_iter().zip(sizes);
        let here = here.filter_map(|(digest, size)| Some((digest, size?)));
        let wanted = here.filter(|(_, size)| *size <= MAX_DOCUMENT_BYTES as u64);
        let read = self.read_documents(wanted.collect()).await?.into_iter();
        documents.extend(read.filter_map(|(digest, _, document)| Some((digest, document?))));
        Ok(documents)
    }

    /// Reads blobs that are here; one that goes meanwhile is left out.
    async fn read_documents(
        &self,
        wanted: Vec<(Digest, u64)>,
    ) -> Result<Vec<(Digest, u64, Option<Rc<Document>>)>> {
        let mut read = Vec::with_capacity(wanted.len());
        let mut unknown = Vec::new();
        for (digest, size) in wanted {
            match self.catalog.documents.borrow_mut().get(&digest) {
                Some(document) => read.push((digest, size, document)),
                None => unknown.push((digest, size)),
            }
        }
        let reads = unknown.into_iter().map(|(digest, size)| async move {
            let bytes = self.small_blob(&digest, MAX_DOCUMENT_BYTES).await?;
            Ok::<_, Error>(bytes.map(|bytes| (digest, size, bytes)))
        });
        let mut reads = stream::iter(reads).buffer_unordered(PARALLEL_READS);
        while let Some(found) = reads.next().await {
            let Some((digest, size, bytes)) = found? else {
                continue;
            };
            // Without an announced type the outcome depends on the bytes alone, so it
            // may be kept by digest.
            let document = Document::parse("", &bytes).ok().map(Rc::new);
            let mut cache = self.catalog.documents.borrow_mut();
            cache.insert(digest.clone(), document.clone(), bytes.len());
            drop(cache);
            read.push((digest, size, document));
        }
        Ok(read)
    }

    /// The essentials of these configs, which are here. One that goes meanwhile
    /// or is no config is left out.
    pub(super) async fn essentials(
        &self,
        configs: Vec<Digest>,
    ) -> Result<HashMap<Digest, Rc<Essentials>>> {
        let mut essentials = HashMap::with_capacity(configs.len());
        let mut unknown = Vec::new();
        for digest in configs {
            match self.catalog.essentials.borrow_mut().get(&digest) {
                Some(known) => drop(essentials.insert(digest, known)),
                None => unknown.push(digest),
            }
        }
        let reads = unknown.into_iter().map(|digest| async move {
            let config = self.config(&digest).await?;
            Ok::<_, Error>(config.map(|config| (digest, config)))
        });
        let mut reads = stream::iter(reads).buffer_unordered(PARALLEL_READS);
        while let Some(found) = reads.next().await {
            let Some((digest, config)) = found? else {
                continue;
            };
            let known = Rc::new(Essentials::of(&config.image));
            let mut cache = self.catalog.essentials.borrow_mut();
            cache.insert(digest.clone(), known.clone(), 1);
            drop(cache);
            essentials.insert(digest, known);
        }
        Ok(essentials)
    }

    /// A config; `None` if it is not here or is no config.
    pub(super) async fn config(&self, digest: &Digest) -> Result<Option<Rc<Config>>> {
        if let Some(config) = self.catalog.configs.borrow_mut().get(digest) {
            return Ok(Some(config));
        }
        let Some(bytes) = self.small_blob(digest, MAX_CONFIG_BYTES).await? else {
            return Ok(None);
        };
        let Ok(image) = ImageConfig::parse(&bytes) else {
            return Ok(None);
        };
        let weight = bytes.len();
        let config = Rc::new(Config {
            bytes: bytes.into(),
            image: Rc::new(image),
        });
        let mut cache = self.catalog.configs.borrow_mut();
        cache.insert(digest.clone(), config.clone(), weight);
        Ok(Some(config))
    }

    /// The bytes of a blob; `None` if it is not here or larger than `limit`.
    async fn small_blob(&self, digest: &Digest, limit: usize) -> Result<Option<Vec<u8>>> {
        match self.store.get(digest, limit as u64).await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::NotFound(_) | Error::QuotaExceeded(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The sizes of these blobs, `None` for what is not here; no call for none.
    pub(super) async fn sizes(&self, digests: &[Digest]) -> Result<Vec<Option<u64>>> {
        if digests.is_empty() {
            return Ok(Vec::new());
        }
        self.store.stat_all(digests, None).await
    }
}

/// The target of a name as a descriptor.
pub(super) fn descriptor(target: &Target) -> Descriptor {
    Descriptor::new(&target.media_type, target.digest.clone(), target.size)
}
