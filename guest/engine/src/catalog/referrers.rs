//! Referrers: manifests about another one, their `subject`. Signatures, mostly.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers>
//!
//! One is here as an image with a name like any other, or as a name in [`REFERRERS`] when it
//! came along with its subject.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use strata_oci::{
    Descriptor, Digest, Document,
    media_type::{self, Kind},
};

use super::{
    Snapshot,
    documents::{Readable, descriptor},
    weight,
};
use crate::{Engine, Error, Host, Name, Result, Target};

/// The name space of referrers that are no images. A name is the digest of one, its label
/// [`SUBJECT`] says what it is about; it keeps the referrer as long as that is kept.
pub(crate) const REFERRERS: &str = "referrers";
/// The label with the digest of the subject.
const SUBJECT: &str = "subject";
/// Bytes of annotations that are kept of all referrers together. Those of a signature take a few KiB; beyond, the
/// others are listed without theirs.
const ANNOTATIONS: usize = 8 << 20;

/// A name in [`REFERRERS`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReferrerName {
    /// What it is about.
    pub(crate) subject: Digest,
    /// The referrer.
    pub(crate) target: Target,
}

impl ReferrerName {
    /// Reads a record; `None` if it does not say what it is about.
    pub(super) fn from_record(record: &Name) -> Option<Self> {
        let label = record.labels.iter().find(|(key, _)| key == SUBJECT);
        Some(Self {
            subject: Digest::parse(&label?.1).ok()?,
            target: record.target.clone(),
        })
    }

    /// The labels of its record.
    pub(crate) fn labels(&self) -> Vec<(String, String)> {
        vec![(SUBJECT.to_owned(), self.subject.to_string())]
    }
}

/// A manifest or index with a subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Referrer {
    /// What it is about.
    pub(crate) subject: Digest,
    /// The entry it has in a list of referrers: with the artifact type and the annotations
    /// it states itself.
    pub(crate) descriptor: Descriptor,
}

impl Referrer {
    /// The referrer that `document` is; `None` if it has no subject.
    pub(crate) fn of(target: &Descriptor, document: &Document) -> Option<Self> {
        let (subject, kind, annotations) = match document {
            Document::Index(index) => {
                let kind = index.artifact_type.clone();
                (&index.subject, kind, &index.annotations)
            }
            Document::Manifest(manifest) => {
                let config = &manifest.config.media_type;
                let config = (!config.is_empty()).then(|| config.clone());
                let kind = manifest.artifact_type.clone().or(config);
                (&manifest.subject, kind, &manifest.annotations)
            }
        };
        let mut descriptor =
            Descriptor::new(&target.media_type, target.digest.clone(), target.size);
        descriptor.artifact_type = kind;
        descriptor.annotations = annotations.clone();
        Some(Self {
            subject: subject.as_ref()?.digest.clone(),
            descriptor,
        })
    }
}

/// The referrers that are here, by what they are about.
#[derive(Default)]
pub(crate) struct Referrers(HashMap<Digest, Vec<Referrer>>);

impl Referrers {
    /// What is about one of `subjects`, then what is about that, and so on: each once, a
    /// round in the order of digests. Of `subjects` themselves none.
    pub(crate) fn about<'a>(
        &self,
        subjects: impl IntoIterator<Item = &'a Digest>,
    ) -> Vec<Vec<&Referrer>> {
        let mut subjects: Vec<&Digest> = subjects.into_iter().collect();
        let mut seen: HashSet<&Digest> = subjects.iter().copied().collect();
        let mut rounds = Vec::new();
        loop {
            let about = subjects.into_iter().filter_map(|it| self.0.get(it));
            let mut round: Vec<&Referrer> = about.flatten().collect();
            round.retain(|it| seen.insert(&it.descriptor.digest));
            if round.is_empty() {
                return rounds;
            }
            round.sort_by(|one, other| one.descriptor.digest.cmp(&other.descriptor.digest));
            subjects = round.iter().map(|it| &it.descriptor.digest).collect();
            rounds.push(round);
        }
    }
}

impl<H: Host> Engine<H> {
    /// Every referrer that is here.
    ///
    /// # Errors
    /// As the store's reads.
    pub(crate) async fn referrers(&self, snapshot: &Snapshot) -> Result<Rc<Referrers>> {
        if let Some(known) = snapshot.referrers.borrow().clone() {
            return Ok(known);
        }
        let images = snapshot.images.iter().map(|image| &image.target);
        let referrers = snapshot.referrer_names.iter().map(|it| &it.target);
        let targets = images.chain(referrers);
        let targets: HashMap<&Digest, &Target> = targets
            .filter(|target| Readable::announced(&target.media_type) != Readable::No)
            .map(|target| (&target.digest, target))
            .collect();
        let digests: Vec<Digest> = targets.keys().map(|digest| (*digest).clone()).collect();
        let mut referrers: HashMap<Digest, Vec<Referrer>> = HashMap::new();
        let mut annotations = 0;
        self.each_document(digests, |digest, document| {
            let Some(target) = targets.get(digest) else {
                return;
            };
            if let Some(mut referrer) = Referrer::of(&descriptor(target), document) {
                annotations += weight::map(&referrer.descriptor.annotations);
                if annotations > ANNOTATIONS {
                    referrer.descriptor.annotations.clear();
                }
                let about = referrers.entry(referrer.subject.clone()).or_default();
                about.push(referrer);
            }
        })
        .await?;
        let referrers = Rc::new(Referrers(referrers));
        snapshot.referrers.replace(Some(referrers.clone()));
        Ok(referrers)
    }

    /// Everything `root` consists of, itself included; `None` if not all of it is here.
    /// Foreign layers need not be, and are left out.
    ///
    /// # Errors
    /// As the store's reads.
    pub(crate) async fn whole(&self, root: &Descriptor) -> Result<Option<Vec<Digest>>> {
        let target = Target {
            media_type: root.media_type.clone(),
            digest: root.digest.clone(),
            size: root.size,
        };
        let documents = match self.documents(&[target]).await {
            // What cannot be read is not whole.
            Err(Error::Damaged(_) | Error::QuotaExceeded(_)) => return Ok(None),
            documents => documents?,
        };
        let mut content = HashSet::from([root.digest.clone()]);
        for stored in documents.values() {
            let children = stored.document.iter().flat_map(|it| it.children());
            let foreign = |it: &&Descriptor| media_type::kind(&it.media_type) == Kind::ForeignLayer;
            let children = children.filter(|it| !foreign(it));
            content.extend(children.map(|child| child.digest.clone()));
        }
        let content: Vec<Digest> = content.into_iter().collect();
        let sizes = self.sizes(&content).await?;
        Ok(sizes.iter().all(Option::is_some).then_some(content))
    }
}
