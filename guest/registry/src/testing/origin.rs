//! An honest registry that is only read: whatever repository is asked for, it has the same.

use std::collections::BTreeMap;

use strata_oci::Digest;

use super::{Asked, Made, Reply};

/// A registry on one host, for one repository.
#[derive(Clone, Default)]
pub struct Origin {
    /// By tag and by digest: type and bytes.
    documents: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Origin {
    /// Offers an image under a tag.
    pub fn tagged(mut self, tag: &str, image: &Made) -> Self {
        self.add(image);
        self.document(tag, &image.media_type, &image.manifest)
    }

    /// Offers an image by digest only.
    pub fn and(mut self, image: &Made) -> Self {
        self.add(image);
        self
    }

    fn add(&mut self, image: &Made) {
        self.blobs
            .insert(image.config_digest.to_string(), image.config.clone());
        for layer in &image.layers {
            self.blobs
                .insert(Digest::sha256(layer).to_string(), layer.clone());
        }
        let document = (image.media_type.clone(), image.manifest.clone());
        self.documents.insert(image.digest.to_string(), document);
    }

    /// Offers any document under a tag and its digest.
    pub fn document(mut self, tag: &str, media_type: &str, bytes: &[u8]) -> Self {
        for name in [tag.to_owned(), Digest::sha256(bytes).to_string()] {
            let document = (media_type.to_owned(), bytes.to_vec());
            self.documents.insert(name, document);
        }
        self
    }

    /// What it answers.
    pub fn answer<E>(&self, asked: &Asked) -> Reply<E> {
        let path = asked.uri.path();
        let name = path.rsplit('/').next().unwrap();
        if path.contains("/manifests/") {
            return match self.documents.get(name) {
                Some((media_type, bytes)) => Reply::ok(bytes.clone())
                    .header("content-type", media_type)
                    .header("content-length", &bytes.len().to_string())
                    .header("docker-content-digest", Digest::sha256(bytes).as_str()),
                None => Reply::status(404).body(
                    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                ),
            };
        }
        if path.ends_with("/tags/list") {
            let tags: Vec<&String> = self
                .documents
                .keys()
                .filter(|name| !name.contains(':'))
                .collect();
            return Reply::ok(serde_json::json!({ "tags": tags }).to_string());
        }
        match self.blobs.get(name) {
            Some(bytes) => ranged(bytes, asked),
            None => Reply::status(404).body(
                r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#,
            ),
        }
    }
}

fn ranged<E>(bytes: &[u8], asked: &Asked) -> Reply<E> {
    let range = asked.header("range");
    let Some(first) = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
    else {
        return Reply::ok(bytes);
    };
    let first: usize = first.parse().unwrap();
    let (last, total) = (bytes.len() - 1, bytes.len());
    Reply::status(206)
        .body(&bytes[first..])
        .header("content-range", &format!("bytes {first}-{last}/{total}"))
}
