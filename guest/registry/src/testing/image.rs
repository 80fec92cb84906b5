//! Images for tests.

use serde_json::{Value, json};
use strata_oci::{Digest, media_type};

/// An image as a registry has it.
#[derive(Clone)]
pub struct Made {
    /// Of its manifest.
    pub media_type: String,
    /// Its manifest, as stored.
    pub manifest: Vec<u8>,
    /// Digest of the manifest.
    pub digest: Digest,
    /// Its config, as stored.
    pub config: Vec<u8>,
    /// Digest of the config.
    pub config_digest: Digest,
    /// Its layers, as stored.
    pub layers: Vec<Vec<u8>>,
}

impl Made {
    /// A Linux image. The store in memory takes layers for uncompressed.
    pub fn new(architecture: &str, layers: &[Vec<u8>]) -> Self {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        Self::with_config(
            media_type::OCI_CONFIG,
            config.to_string().as_bytes(),
            layers,
        )
    }

    /// Anything with a config and layers.
    pub fn with_config(config_type: &str, config: &[u8], layers: &[Vec<u8>]) -> Self {
        let listed = layers.iter().map(|layer| {
            json!({
                "mediaType": media_type::OCI_LAYER,
                "digest": Digest::sha256(layer),
                "size": layer.len(),
            })
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": { "mediaType": config_type, "digest": Digest::sha256(config), "size": config.len() },
            "layers": listed.collect::<Vec<_>>(),
        });
        Self {
            config_digest: Digest::sha256(config),
            config: config.to_vec(),
            layers: layers.to_vec(),
            ..Self::blank()
        }
        .manifest(manifest)
    }

    fn blank() -> Self {
        Self {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            manifest: Vec::new(),
            digest: Digest::sha256(b""),
            config: Vec::new(),
            config_digest: Digest::sha256(b""),
            layers: Vec::new(),
        }
    }

    /// The manifest as JSON, to be changed and put back.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.manifest).unwrap()
    }

    /// This image with another manifest.
    pub fn manifest(mut self, manifest: Value) -> Self {
        self.manifest = manifest.to_string().into_bytes();
        self.digest = Digest::sha256(&self.manifest);
        self
    }

    /// Digest of a layer.
    pub fn layer(&self, number: usize) -> Digest {
        Digest::sha256(&self.layers[number])
    }

    /// Its entry in an index, with `more` members.
    pub fn entry(&self, more: Value) -> Value {
        let mut entry = json!({
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.manifest.len(),
        });
        let members = entry.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        entry
    }
}

/// An OCI index as something that can be tagged and listed.
pub fn index(entries: &[Value]) -> Made {
    let mut made = Made::blank().manifest(json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": entries,
    }));
    made.media_type = media_type::OCI_INDEX.to_owned();
    made
}

/// Bytes that differ from those of another seed.
pub fn layer(seed: u8, length: usize) -> Vec<u8> {
    (0..length)
        .map(|position| seed.wrapping_add(u8::try_from(position % 251).unwrap()))
        .collect()
}
