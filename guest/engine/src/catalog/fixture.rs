//! Images for tests, made in a [`Memory`] store.

use serde_json::{Value, json};
use strata_oci::{Digest, Platform, media_type};

use crate::{
    Engine, Settings, Store as _, Target,
    memory::{Memory, Offline, Stopped},
};

/// The engine under test.
pub(crate) type TestEngine = Engine<(Memory, Offline, Stopped)>;

/// An engine for linux/amd64 over an empty store.
pub(crate) fn engine() -> TestEngine {
    engine_of(Memory::default())
}

/// The same over a store that has something, as a new instance of the component is.
pub(crate) fn engine_of(store: Memory) -> TestEngine {
    let settings = Settings {
        version: "0.0.0".to_owned(),
        platform: platform("linux/amd64"),
        mirrors: Vec::new(),
        insecure_registries: Vec::new(),
        parallel_layers: 1,
        allow_unsafe_redirects: false,
        verify_diff_ids_first: false,
    };
    Engine::new(store, Offline, Stopped, settings)
}

/// A platform from its string form.
pub(crate) fn platform(text: &str) -> Platform {
    Platform::parse(text, &Platform::default()).unwrap()
}

/// What an image is made of.
#[derive(Clone, Copy)]
pub(crate) struct Recipe<'a> {
    /// `os/architecture`.
    pub(crate) platform: &'a str,
    /// RFC 3339; empty for none.
    pub(crate) created: &'a str,
    /// Bytes of each layer.
    pub(crate) layers: &'a [&'a str],
    /// Labels.
    pub(crate) labels: &'a [(&'a str, &'a str)],
}

/// A Linux image with one layer.
pub(crate) const PLAIN: Recipe<'_> = Recipe {
    platform: "linux/amd64",
    created: "2024-01-01T00:00:00Z",
    layers: &["layer"],
    labels: &[],
};

impl Memory {
    /// Stores JSON under a media type.
    pub(crate) fn document(&self, media_type: &str, json: &Value) -> Target {
        let bytes = json.to_string();
        Target {
            media_type: media_type.to_owned(),
            size: bytes.len() as u64,
            digest: self.insert(bytes),
        }
    }

    /// Stores an image: layers, config, manifest.
    pub(crate) fn image(&self, recipe: &Recipe<'_>) -> Target {
        let platform = platform(recipe.platform);
        let diff_ids: Vec<_> = recipe.layers.iter().map(|it| self.insert(*it)).collect();
        let labels: Value = recipe
            .labels
            .iter()
            .map(|&(k, v)| (k.to_owned(), json!(v)))
            .collect();
        let history: Vec<_> = recipe
            .layers
            .iter()
            .flat_map(|layer| {
                [
                    json!({"created_by": format!("COPY {layer}"), "created": recipe.created}),
                    json!({"created_by": "ENV", "comment": "note", "empty_layer": true}),
                ]
            })
            .collect();
        let mut config = json!({
            "os": platform.os,
            "architecture": platform.architecture,
            "config": {"Labels": labels},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
            "history": history,
        });
        if !recipe.created.is_empty() {
            config["created"] = json!(recipe.created);
        }
        let config = self.document(media_type::OCI_CONFIG, &config);
        let layers = recipe.layers.iter().zip(&diff_ids).map(|(layer, digest)| {
            json!({"mediaType": media_type::OCI_LAYER, "digest": digest, "size": layer.len()})
        });
        let layers: Vec<_> = layers.collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": pointer(&config),
            "layers": layers,
        });
        self.document(media_type::OCI_MANIFEST, &manifest)
    }

    /// Stores an index of entries as they stand.
    pub(crate) fn index(&self, entries: &[Value]) -> Target {
        let index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": entries,
        });
        self.document(media_type::OCI_INDEX, &index)
    }

    /// Stores an image and names it.
    pub(crate) fn named(&self, name: &str, recipe: &Recipe<'_>) -> Target {
        let target = self.image(recipe);
        self.name("images", name, &target, &[]);
        target
    }

    /// Stores a manifest about `subject`, as signing tools do; its only layer is `content`.
    pub(crate) fn referrer(&self, subject: &Target, content: &str) -> Target {
        let config = self.document(media_type::OCI_EMPTY, &json!({}));
        let layer = Target {
            media_type: "text/plain".to_owned(),
            digest: self.insert(content),
            size: content.len() as u64,
        };
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "artifactType": "application/vnd.example.signature",
            "config": pointer(&config),
            "layers": [pointer(&layer)],
            "subject": pointer(subject),
            "annotations": {"com.example.signer": "somebody"},
        });
        self.document(media_type::OCI_MANIFEST, &manifest)
    }

    /// Stores a referrer that is no image: it stays as long as `subject`.
    pub(crate) fn kept_referrer(&self, subject: &Target, content: &str) -> Target {
        let target = self.referrer(subject, content);
        self.keep(&target, subject);
        target
    }

    /// Keeps what is here as long as `subject`.
    pub(crate) fn keep(&self, target: &Target, subject: &Target) {
        let labels = [("subject", subject.digest.as_str())];
        self.name("referrers", target.digest.as_str(), target, &labels);
    }

    /// A container made from an image.
    pub(crate) fn container(&self, id: &str, image: &Target, name: &str, running: bool) {
        let record = self.document("application/json", &json!({"container": id}));
        let running = if running { "true" } else { "false" };
        let image = image.digest.as_str();
        let labels = [("image", image), ("name", name), ("running", running)];
        self.name("containers", id, &record, &labels);
    }

    /// The digest of a layer with this content.
    pub(crate) fn layer(content: &str) -> Digest {
        Digest::sha256(content.as_bytes())
    }

    /// How often a call was made since last asked.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.calls().iter().filter(|made| **made == call).count()
    }

    /// The generation, without counting a call.
    pub(crate) fn now(&self) -> u64 {
        let generation = self.generation().unwrap();
        self.calls();
        generation
    }
}

/// A descriptor of stored content.
pub(crate) fn pointer(target: &Target) -> Value {
    json!({"mediaType": target.media_type, "digest": target.digest, "size": target.size})
}

/// An index entry for a platform.
pub(crate) fn entry(target: &Target, on: &str) -> Value {
    let mut entry = pointer(target);
    entry["platform"] = json!(platform(on));
    entry
}

/// An index entry for an attestation about `subject`.
pub(crate) fn attestation(target: &Target, subject: &Target) -> Value {
    let mut entry = pointer(target);
    entry["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    entry["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": subject.digest,
    });
    entry
}
