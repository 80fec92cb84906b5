//! What reading a manifest or index comes to.
//!
//! Listing, marking and removing go on whatever becomes of one document, so that is a value
//! here and no error.

use std::{
    collections::{BTreeMap, HashSet},
    rc::Rc,
};

use strata_oci::{
    Descriptor, Digest, Document,
    document::{ATTESTATION_SUBJECT, ATTESTATION_TYPE, DocumentError},
};

use super::weight;
use crate::Error;

/// Bytes of annotations that a document keeps in memory. Nothing here needs more of them than a number of bytes, but
/// lists of referrers show them; those of a document may be some MiB.
const KEPT_ANNOTATIONS: usize = 64 << 10;

/// Bytes of the longest value of an annotation that is kept whatever the others weigh: a digest.
const LONGEST_KEPT: usize = 256;

/// What a blob that may be a manifest or index is.
#[derive(Clone)]
pub(crate) enum Content {
    /// It is one.
    Document(Rc<Document>),
    /// It should be one, and is whole, but cannot be read as one.
    Unparsable(Rc<Unparsable>),
    /// Something else.
    Other,
    /// Its bytes cannot be had: why.
    Damaged(Error),
    /// It is not here.
    Absent,
}

impl Content {
    /// The document, if it is one.
    pub(crate) fn document(&self) -> Option<&Rc<Document>> {
        match self {
            Self::Document(document) => Some(document),
            _ => None,
        }
    }

    /// Why it cannot be read, for people.
    pub(crate) fn damage(&self, digest: &Digest) -> Option<String> {
        match self {
            Self::Document(_) | Self::Other => None,
            Self::Unparsable(it) => Some(it.reason.clone()),
            Self::Damaged(error) => Some(damage(digest, error)),
            Self::Absent => Some(format!("{digest} is missing")),
        }
    }
}

/// Bytes that are no document.
pub(crate) struct Unparsable {
    /// Why, for people.
    pub(crate) reason: String,
    /// Every digest in its text, so all it could refer to; `None` if that cannot be told.
    pub(crate) mentions: Option<Vec<Digest>>,
}

impl Unparsable {
    /// Reads what `bytes` mention.
    pub(super) fn new(digest: &Digest, error: &DocumentError, bytes: &[u8]) -> Self {
        Self {
            reason: Error::document(digest, error).to_string(),
            mentions: mentions(bytes),
        }
    }

    /// What it takes in memory.
    pub(super) fn weight(&self) -> usize {
        // A digest is shared text and a pointer to it.
        let mention = |digest: &Digest| digest.as_str().len() + 2 * size_of::<Digest>();
        let mentions = self.mentions.iter().flatten().map(mention);
        self.reason.len() + mentions.sum::<usize>()
    }
}

/// Why a blob cannot be had, for people.
pub(super) fn damage(digest: &Digest, error: &Error) -> String {
    match error {
        Error::DigestMismatch { actual, .. } => {
            format!("{digest} is damaged: its bytes have the digest {actual}")
        }
        Error::NotFound(_) => format!("{digest} is missing"),
        error => error.to_string(),
    }
}

/// The digests in a text; `None` if some may be written in another way than letter by letter.
fn mentions(bytes: &[u8]) -> Option<Vec<Digest>> {
    // Of the characters of a digest JSON has one other spelling, and that only in UTF-8.
    let escaped = bytes.windows(4).any(|it| it == b"\\u00");
    if escaped && std::str::from_utf8(bytes).is_ok() {
        return None;
    }
    let mut mentions = Vec::new();
    let mut seen = HashSet::new();
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b':') {
        let end = bytes.get(at + 1..).unwrap_or_default();
        let hex = end.iter().take_while(|it| it.is_ascii_hexdigit()).count();
        let Some(text) = at
            .checked_sub("sha256".len())
            .and_then(|start| bytes.get(start..at + 1 + hex))
        else {
            continue;
        };
        let text = std::str::from_utf8(text).ok();
        if let Some(digest) = text.and_then(|text| Digest::parse(text).ok())
            && seen.insert(digest.clone())
        {
            mentions.push(digest);
        }
    }
    Some(mentions)
}

/// A document without what nobody asks for once it is read: content in descriptors, and annotations by the MiB.
pub(super) fn lean(mut document: Document) -> Document {
    match &mut document {
        Document::Index(index) => {
            for child in index.manifests.iter_mut().chain(&mut index.subject) {
                child.data = None;
            }
            clear_if_heavy(&mut index.annotations);
            lighten(&mut index.manifests);
        }
        Document::Manifest(manifest) => {
            let children = std::iter::once(&mut manifest.config).chain(&mut manifest.layers);
            for child in children.chain(&mut manifest.subject) {
                strip(child);
            }
            clear_if_heavy(&mut manifest.annotations);
        }
    }
    document
}

/// Leaves what a layer or config is, and where.
fn strip(descriptor: &mut Descriptor) {
    descriptor.annotations = BTreeMap::new();
    descriptor.urls = Vec::new();
    descriptor.data = None;
}

/// Leaves of what is heavy in the entries of an index what says that they are attestations.
fn lighten(entries: &mut [Descriptor]) {
    let weight = |entry: &Descriptor| {
        weight::map(&entry.annotations) + entry.urls.iter().map(String::len).sum::<usize>()
    };
    if entries.iter().map(weight).sum::<usize>() <= KEPT_ANNOTATIONS {
        return;
    }
    for entry in entries {
        entry.urls = Vec::new();
        entry.annotations.retain(|key, value| {
            [ATTESTATION_TYPE, ATTESTATION_SUBJECT].contains(&key.as_str())
                && value.len() <= LONGEST_KEPT
        });
    }
}

fn clear_if_heavy(annotations: &mut BTreeMap<String, String>) {
    if weight::map(annotations) > KEPT_ANNOTATIONS {
        *annotations = BTreeMap::new();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_of_a_text_is_mentioned() {
        let [one, two] = ["one", "two"].map(|text| Digest::sha256(text.as_bytes()));
        let short = &one.as_str()[..70];
        for (text, expected) in [
            (String::new(), Some(vec![])),
            (
                format!("{{\"digest\":\"{one}\",{two}{one}"),
                Some(vec![one.clone(), two.clone()]),
            ),
            (
                format!("{short} sha256:xyz :{one} {}", one.as_str().to_uppercase()),
                Some(vec![one.clone()]),
            ),
            (format!("\\n\\\"{one}"), Some(vec![one.clone()])),
            (format!("\\u0073{one}"), None),
        ] {
            assert_eq!(mentions(text.as_bytes()), expected, "{text}");
        }
        let cut = &format!("{one}")[..20];
        assert_eq!(mentions(cut.as_bytes()), Some(vec![]));
    }
}
