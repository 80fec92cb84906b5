//! What manifests, indexes and configs come to, as the store keeps it from one instance to the next.
//!
//! A first listing would open, hash and parse two files of every image, and needs little of them. The store gives
//! out what was kept only as long as the file is the one it was made from.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use strata_oci::{
    Descriptor, Digest, Document, Labels, Platform,
    document::{Index, Manifest},
};

use super::config::Essentials;
use crate::{Engine, Error, Host, Result, Store};

/// Where something that is known comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// Bytes of the right digest.
    Bytes,
    /// A fact. Enough for what is shown and for filters; marking what must stay reads.
    Fact,
}

/// The kind of derived data of documents. Another form of it gets another number.
pub(super) const DOCUMENTS: &str = "documents-1";
/// The kind of derived data of configs.
pub(super) const ESSENTIALS: &str = "essentials-1";
/// Blobs from which on what is kept is asked for: fewer are read as fast.
const FROM: usize = 16;
/// Bytes kept of one blob, at most: what takes more is read again.
const MOST: usize = 32 << 10;
/// Bytes kept of most blobs: of a manifest of a few layers.
const USUAL: usize = 512;
/// Blobs whose facts are recalled at once, so that those of the heaviest are some MiB.
const AT_ONCE: usize = 128;
/// Bytes of facts that are kept of blobs read at once: those of thousands of usual ones. What is beyond is read
/// again.
const MOST_AT_ONCE: usize = 4 << 20;

/// What is kept of a manifest or index: what [`super::content::lean`] leaves of it.
#[derive(Serialize, Deserialize)]
struct DocumentFact<'a> {
    /// The config, of a manifest.
    #[serde(borrow)]
    config: Option<DescriptorFact<'a>>,
    /// The layers of a manifest, or the manifests of an index.
    #[serde(borrow)]
    children: Vec<DescriptorFact<'a>>,
    #[serde(borrow)]
    subject: Option<DescriptorFact<'a>>,
    media_type: Option<&'a str>,
    artifact_type: Option<&'a str>,
    #[serde(borrow)]
    annotations: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize, Deserialize)]
struct DescriptorFact<'a> {
    media_type: &'a str,
    digest: &'a str,
    size: u64,
    #[serde(borrow)]
    urls: Vec<&'a str>,
    #[serde(borrow)]
    annotations: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    platform: Option<PlatformFact<'a>>,
    artifact_type: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct PlatformFact<'a> {
    architecture: &'a str,
    os: &'a str,
    os_version: Option<&'a str>,
    #[serde(borrow)]
    os_features: Vec<&'a str>,
    variant: Option<&'a str>,
}

/// What is kept of a config.
#[derive(Serialize, Deserialize)]
struct EssentialsFact<'a> {
    #[serde(borrow)]
    platform: PlatformFact<'a>,
    created: Option<(i64, u32)>,
    /// None if they are heavy.
    #[serde(borrow)]
    labels: Option<Vec<(&'a str, &'a str)>>,
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    map.iter().map(|(key, value)| (&**key, &**value)).collect()
}

fn map(pairs: Vec<(&str, &str)>) -> BTreeMap<String, String> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    pairs.into_iter().map(owned).collect()
}

fn texts(texts: Vec<&str>) -> Vec<String> {
    texts.into_iter().map(str::to_owned).collect()
}

impl<'a> From<&'a Platform> for PlatformFact<'a> {
    fn from(platform: &'a Platform) -> Self {
        Self {
            architecture: &platform.architecture,
            os: &platform.os,
            os_version: platform.os_version.as_deref(),
            os_features: platform.os_features.iter().map(String::as_str).collect(),
            variant: platform.variant.as_deref(),
        }
    }
}

impl PlatformFact<'_> {
    fn platform(self) -> Platform {
        Platform {
            architecture: self.architecture.to_owned(),
            os: self.os.to_owned(),
            os_version: self.os_version.map(str::to_owned),
            os_features: texts(self.os_features),
            variant: self.variant.map(str::to_owned),
        }
    }
}

impl<'a> From<&'a Descriptor> for DescriptorFact<'a> {
    fn from(descriptor: &'a Descriptor) -> Self {
        Self {
            media_type: &descriptor.media_type,
            digest: descriptor.digest.as_str(),
            size: descriptor.size,
            urls: descriptor.urls.iter().map(String::as_str).collect(),
            annotations: pairs(&descriptor.annotations),
            platform: descriptor.platform.as_ref().map(Into::into),
            artifact_type: descriptor.artifact_type.as_deref(),
        }
    }
}

impl DescriptorFact<'_> {
    fn descriptor(self) -> Option<Descriptor> {
        Some(Descriptor {
            media_type: self.media_type.to_owned(),
            digest: Digest::parse(self.digest).ok()?,
            size: self.size,
            urls: texts(self.urls),
            annotations: map(self.annotations),
            data: None,
            platform: self.platform.map(PlatformFact::platform),
            artifact_type: self.artifact_type.map(str::to_owned),
        })
    }
}

/// A lean document, to be kept; `None` if it takes too much.
pub(super) fn of_document(document: &Document) -> Option<Vec<u8>> {
    let fact = match document {
        Document::Index(it) => DocumentFact {
            config: None,
            children: it.manifests.iter().map(Into::into).collect(),
            subject: it.subject.as_ref().map(Into::into),
            media_type: it.media_type.as_deref(),
            artifact_type: it.artifact_type.as_deref(),
            annotations: pairs(&it.annotations),
        },
        Document::Manifest(it) => DocumentFact {
            config: Some((&it.config).into()),
            children: it.layers.iter().map(Into::into).collect(),
            subject: it.subject.as_ref().map(Into::into),
            media_type: it.media_type.as_deref(),
            artifact_type: it.artifact_type.as_deref(),
            annotations: pairs(&it.annotations),
        },
    };
    kept(&fact)
}

/// A document as it was kept.
pub(super) fn document(kept: &[u8]) -> Option<Document> {
    let fact: DocumentFact<'_> = postcard::from_bytes(kept).ok()?;
    let children = fact.children.into_iter().map(DescriptorFact::descriptor);
    let children = children.collect::<Option<Vec<_>>>()?;
    let subject = match fact.subject {
        Some(subject) => Some(subject.descriptor()?),
        None => None,
    };
    let media_type = fact.media_type.map(str::to_owned);
    let artifact_type = fact.artifact_type.map(str::to_owned);
    let annotations = map(fact.annotations);
    Some(match fact.config {
        None => Document::Index(Index {
            media_type,
            manifests: children,
            annotations,
            subject,
            artifact_type,
        }),
        Some(config) => Document::Manifest(Manifest {
            media_type,
            config: config.descriptor()?,
            layers: children,
            annotations,
            subject,
            artifact_type,
        }),
    })
}

/// Essentials, to be kept; `None` if they take too much.
pub(super) fn of_essentials(essentials: &Essentials) -> Option<Vec<u8>> {
    let labels = essentials.labels.as_ref();
    let fact = EssentialsFact {
        platform: (&essentials.platform).into(),
        created: essentials.created,
        labels: labels.map(|labels| labels.iter().collect()),
    };
    kept(&fact)
}

fn kept(fact: &impl Serialize) -> Option<Vec<u8>> {
    let bytes = postcard::to_extend(fact, Vec::with_capacity(USUAL)).ok()?;
    (bytes.len() <= MOST).then_some(bytes)
}

/// Essentials as they were kept.
pub(super) fn essentials(kept: &[u8]) -> Option<Essentials> {
    let fact: EssentialsFact<'_> = postcard::from_bytes(kept).ok()?;
    Some(Essentials {
        platform: fact.platform.platform(),
        created: fact.created,
        labels: fact.labels.map(|labels| Labels::new(labels).into()),
    })
}

impl<H: Host> Engine<H> {
    /// Reads what is kept of some of these blobs, a few at a time.
    ///
    /// # Errors
    /// [`Error::Cancelled`] only: what cannot be recalled can be read.
    pub(super) async fn recall_facts<F>(
        &self,
        blobs: impl ExactSizeIterator<Item = &Digest>,
        kind: &str,
        read: impl Fn(&[u8]) -> Option<F>,
    ) -> Result<HashMap<Digest, F>> {
        let mut facts = HashMap::new();
        if blobs.len() < FROM {
            return Ok(facts);
        }
        let blobs: Vec<Digest> = blobs.cloned().collect();
        for part in blobs.chunks(AT_ONCE) {
            let kept = match self.store.recall_all(part, kind).await {
                Ok(kept) => kept,
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(_) => break,
            };
            let kept = part.iter().zip(kept);
            facts.extend(kept.filter_map(|(blob, kept)| Some((blob.clone(), read(&kept?)?))));
        }
        Ok(facts)
    }

    /// Has the store keep what some blobs come to. That is no more than a help.
    pub(super) async fn remember_facts(&self, facts: Facts, kind: &str) {
        if facts.kept.len() >= FROM {
            let _ = self.store.remember_all(facts.kept, kind).await;
        }
    }
}

/// What is to be kept of blobs that were read, up to [`MOST_AT_ONCE`].
#[derive(Default)]
pub(super) struct Facts {
    kept: Vec<(Digest, Vec<u8>)>,
    bytes: usize,
}

impl Facts {
    /// Adds what one blob comes to.
    pub(super) fn add(&mut self, blob: &Digest, fact: Option<Vec<u8>>) {
        if let Some(fact) = fact
            && self.bytes + fact.len() <= MOST_AT_ONCE
        {
            self.bytes += fact.len();
            self.kept.push((blob.clone(), fact));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    fn descriptor(text: &str) -> Descriptor {
        Descriptor {
            urls: vec!["https://host/x".to_owned()],
            annotations: map(vec![("a", "1"), ("b", "")]),
            platform: Some(Platform {
                os_version: Some("10".to_owned()),
                os_features: vec!["win32k".to_owned()],
                variant: Some("v8".to_owned()),
                architecture: "arm64".to_owned(),
                os: "linux".to_owned(),
            }),
            artifact_type: Some("application/x".to_owned()),
            ..Descriptor::new("application/y", Digest::sha256(text.as_bytes()), u64::MAX)
        }
    }

    #[test]
    fn documents_are_kept_whole() {
        let (one, two) = (descriptor("one"), descriptor("two"));
        let manifest = Document::Manifest(Manifest {
            media_type: Some("application/z".to_owned()),
            config: one.clone(),
            layers: vec![two.clone(), Descriptor::new("", one.digest.clone(), 0)],
            annotations: map(vec![("c", "d")]),
            subject: Some(two.clone()),
            artifact_type: None,
        });
        let index = Document::Index(Index {
            media_type: None,
            manifests: vec![one.clone(), two],
            annotations: BTreeMap::new(),
            subject: None,
            artifact_type: Some("application/q".to_owned()),
        });
        for document in [manifest, index, Document::Index(Index::default())] {
            let kept = of_document(&document).unwrap();
            assert_eq!(super::document(&kept), Some(document));
            // Whatever is wrong with it, it is read again.
            assert_eq!(super::document(&kept[..kept.len() - 1]), None);
        }
        assert_eq!(document(&[0xff; 100]), None);
        let heavy = Document::Index(Index {
            manifests: vec![one; 200],
            ..Index::default()
        });
        assert_eq!(of_document(&heavy), None);
    }

    #[test]
    fn essentials_are_kept_whole() {
        let labels = Labels::new([("a", "1"), ("b", "ü")]);
        for labels in [None, Some(Rc::default()), Some(Rc::new(labels))] {
            for created in [None, Some((-1, 999_999_999))] {
                let before = Essentials {
                    platform: descriptor("").platform.unwrap_or_default(),
                    created,
                    labels: labels.clone(),
                };
                let kept = of_essentials(&before).unwrap();
                assert_eq!(essentials(&kept), Some(before));
                assert_eq!(essentials(&kept[1..]), None);
            }
        }
        let heavy = "x".repeat(MOST);
        let before = Essentials {
            platform: Platform::default(),
            created: None,
            labels: Some(Rc::new(Labels::new([("a", &*heavy)]))),
        };
        assert_eq!(of_essentials(&before), None);
    }

    #[test]
    fn what_is_kept_at_once_is_bounded() {
        let mut facts = Facts::default();
        for number in 0..1000_u32 {
            let digest = Digest::sha256(&number.to_le_bytes());
            facts.add(&digest, Some(vec![0; MOST]));
        }
        assert_eq!(facts.kept.len(), MOST_AT_ONCE / MOST);
    }
}
