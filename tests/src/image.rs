//! Images: config, manifest, index and artifact documents around layers, with every digest known in advance.

mod layered;

pub use layered::layered;

use crate::layer::{Compression, Layer, sha256};
use bytes::Bytes;
use serde_json::{Map, Value, json};

/// Which family of media types an image speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// OCI image-spec.
    Oci,
    /// Docker image manifest version 2, schema 2.
    Docker,
}

impl Schema {
    /// Media type of an index or manifest list.
    #[must_use]
    pub fn index(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.index.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.list.v2+json",
        }
    }

    /// Media type of a manifest.
    #[must_use]
    pub fn manifest(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.manifest.v1+json",
            Self::Docker => "application/vnd.docker.distribution.manifest.v2+json",
        }
    }

    /// Media type of an image config.
    #[must_use]
    pub fn config(self) -> &'static str {
        match self {
            Self::Oci => "application/vnd.oci.image.config.v1+json",
            Self::Docker => "application/vnd.docker.container.image.v1+json",
        }
    }

    /// Media type of a layer.
    #[must_use]
    pub fn layer(self, compression: Compression) -> String {
        let (base, dot) = match self {
            Self::Oci => ("application/vnd.oci.image.layer.v1.tar", "+"),
            Self::Docker => ("application/vnd.docker.image.rootfs.diff.tar", "."),
        };
        match compression {
            Compression::Plain => base.to_owned(),
            Compression::Gzip => format!("{base}{dot}gzip"),
            Compression::Zstd => format!("{base}{dot}zstd"),
        }
    }
}

/// Bytes with a media type and their digest.
#[derive(Clone, Debug)]
pub struct Blob {
    /// As a descriptor names it.
    pub media_type: String,
    /// Digest of [`Self::bytes`].
    pub digest: String,
    /// The content.
    pub bytes: Bytes,
}

impl Blob {
    /// Content of a given media type.
    #[must_use]
    pub fn new(media_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            media_type: media_type.to_owned(),
            digest: sha256(&bytes),
            bytes,
        }
    }

    /// A JSON document, compact.
    #[must_use]
    pub fn document(media_type: &str, document: &Value) -> Self {
        Self::new(media_type, document.to_string())
    }

    /// `{mediaType, digest, size}`.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.bytes.len()})
    }
}

/// An image, index or artifact with everything it refers to.
#[derive(Clone, Debug)]
pub struct Image {
    /// What a tag points at.
    pub root: Blob,
    /// Manifests below an index, children before parents.
    pub manifests: Vec<Blob>,
    /// Image configs.
    pub configs: Vec<Blob>,
    /// Layers and other payload, in the order of the manifests.
    pub layers: Vec<Blob>,
}

impl Image {
    /// Starts an image of this schema.
    #[must_use]
    pub fn builder(schema: Schema) -> Builder {
        Builder {
            schema,
            platform: "linux/amd64".to_owned(),
            created: "2024-01-02T03:04:05Z".to_owned(),
            config: Map::new(),
            history: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// Starts an index of this schema.
    #[must_use]
    pub fn index(schema: Schema) -> IndexBuilder {
        IndexBuilder {
            schema,
            entries: Vec::new(),
            content: Vec::new(),
        }
    }

    /// An OCI artifact: an empty config and one payload blob.
    #[must_use]
    pub fn artifact(artifact_type: &str, payload: &str) -> Self {
        Self::artifact_about(artifact_type, payload, None)
    }

    /// An artifact about this image, such as its signature.
    #[must_use]
    pub fn referrer(&self, artifact_type: &str, payload: &str) -> Self {
        Self::artifact_about(artifact_type, payload, Some(&self.root))
    }

    fn artifact_about(artifact_type: &str, payload: &str, subject: Option<&Blob>) -> Self {
        let config = Blob::new("application/vnd.oci.empty.v1+json", "{}");
        let payload = Blob::new("text/plain", payload.to_owned());
        let mut manifest = json!({
            "schemaVersion": 2, "mediaType": Schema::Oci.manifest(), "artifactType": artifact_type,
            "config": config.descriptor(), "layers": [payload.descriptor()],
        });
        if let Some(subject) = subject {
            manifest["subject"] = subject.descriptor();
        }
        let root = Blob::document(Schema::Oci.manifest(), &manifest);
        Self {
            root,
            manifests: Vec::new(),
            configs: vec![config],
            layers: vec![payload],
        }
    }

    /// Digest of what a tag points at: the image ID.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.root.digest
    }

    /// The 12 hex digits the docker CLI shows.
    #[must_use]
    pub fn short_id(&self) -> &str {
        short(&self.root.digest)
    }

    /// Every blob and manifest this image consists of.
    pub fn contents(&self) -> impl Iterator<Item = &Blob> {
        self.layers
            .iter()
            .chain(&self.configs)
            .chain(&self.manifests)
            .chain([&self.root])
    }
}

/// The first 12 hex digits of a digest.
#[must_use]
pub fn short(digest: &str) -> &str {
    let encoded = digest
        .split_once(':')
        .map_or(digest, |(_, encoded)| encoded);
    &encoded[..encoded.len().min(12)]
}

/// An image under construction.
#[derive(Clone, Debug)]
pub struct Builder {
    schema: Schema,
    platform: String,
    created: String,
    config: Map<String, Value>,
    history: Vec<Value>,
    layers: Vec<Layer>,
}

impl Builder {
    /// Adds a layer and the history line that made it.
    #[must_use]
    pub fn layer(mut self, layer: Layer, created_by: &str) -> Self {
        self.history
            .push(json!({"created": self.created, "created_by": created_by}));
        self.layers.push(layer);
        self
    }

    /// Adds a history line that made no layer.
    #[must_use]
    pub fn step(mut self, created_by: &str) -> Self {
        self.history
            .push(json!({"created": self.created, "created_by": created_by, "empty_layer": true}));
        self
    }

    /// Sets `os/architecture[/variant]`.
    #[must_use]
    pub fn platform(mut self, platform: &str) -> Self {
        platform.clone_into(&mut self.platform);
        self
    }

    /// Sets when the image and the steps after this call were made (RFC 3339).
    #[must_use]
    pub fn created(mut self, created: &str) -> Self {
        created.clone_into(&mut self.created);
        self
    }

    /// Sets a member of the config's `config`: `Env`, `Labels`, `Cmd`, …
    #[must_use]
    pub fn config(mut self, member: &str, value: Value) -> Self {
        self.config.insert(member.to_owned(), value);
        self
    }

    /// Sets the image's labels.
    #[must_use]
    pub fn labels(self, labels: Value) -> Self {
        self.config("Labels", labels)
    }

    /// Makes the documents.
    #[must_use]
    pub fn build(self) -> Image {
        let mut config = platform_members(&self.platform);
        config.insert("created".to_owned(), json!(self.created));
        config.insert("config".to_owned(), json!(self.config));
        let diff_ids: Vec<&str> = self
            .layers
            .iter()
            .map(|layer| layer.diff_id.as_str())
            .collect();
        config.insert(
            "rootfs".to_owned(),
            json!({"type": "layers", "diff_ids": diff_ids}),
        );
        config.insert("history".to_owned(), json!(self.history));
        let config = Blob::document(self.schema.config(), &Value::Object(config));
        let layers: Vec<Blob> = self
            .layers
            .iter()
            .map(|layer| Blob::new(&self.schema.layer(layer.compression), layer.bytes.clone()))
            .collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": self.schema.manifest(),
            "config": config.descriptor(),
            "layers": layers.iter().map(Blob::descriptor).collect::<Vec<_>>(),
        });
        let root = Blob::document(self.schema.manifest(), &manifest);
        Image {
            root,
            manifests: Vec::new(),
            configs: vec![config],
            layers,
        }
    }
}

/// An index under construction: entries keep the order of the calls.
#[derive(Clone, Debug)]
pub struct IndexBuilder {
    schema: Schema,
    entries: Vec<Value>,
    content: Vec<Image>,
}

impl IndexBuilder {
    /// Adds an image (or a nested index), with or without a platform on its descriptor.
    #[must_use]
    pub fn image(mut self, image: &Image, platform: Option<&str>) -> Self {
        let mut descriptor = image.root.descriptor();
        if let Some(platform) = platform {
            descriptor["platform"] = Value::Object(platform_members(platform));
        }
        self.entries.push(descriptor);
        self.content.push(image.clone());
        self
    }

    /// Adds a BuildKit attestation about an image already added.
    #[must_use]
    pub fn attestation(mut self, about: &Image) -> Self {
        let statement =
            json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": about.digest()});
        let layer = Blob::document("application/vnd.in-toto+json", &statement);
        let config = json!({
            "architecture": "unknown", "os": "unknown", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        });
        let config = Blob::document(Schema::Oci.config(), &config);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": Schema::Oci.manifest(),
            "config": config.descriptor(), "layers": [layer.descriptor()],
        });
        let root = Blob::document(Schema::Oci.manifest(), &manifest);
        let mut descriptor = root.descriptor();
        descriptor["annotations"] = json!({
            "vnd.docker.reference.digest": about.digest(),
            "vnd.docker.reference.type": "attestation-manifest",
        });
        descriptor["platform"] = json!({"architecture": "unknown", "os": "unknown"});
        self.entries.push(descriptor);
        self.content.push(Image {
            root,
            manifests: Vec::new(),
            configs: vec![config],
            layers: vec![layer],
        });
        self
    }

    /// Adds a descriptor as given, with no content behind it.
    #[must_use]
    pub fn descriptor(mut self, descriptor: Value) -> Self {
        self.entries.push(descriptor);
        self
    }

    /// Makes the index.
    #[must_use]
    pub fn build(self) -> Image {
        let index = json!({
            "schemaVersion": 2, "mediaType": self.schema.index(), "manifests": self.entries,
        });
        let root = Blob::document(self.schema.index(), &index);
        let mut whole = Image {
            root,
            manifests: Vec::new(),
            configs: Vec::new(),
            layers: Vec::new(),
        };
        for image in self.content {
            whole.manifests.extend(image.manifests);
            whole.manifests.push(image.root);
            whole.configs.extend(image.configs);
            whole.layers.extend(image.layers);
        }
        whole
    }
}

fn platform_members(platform: &str) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, value) in ["os", "architecture", "variant"]
        .iter()
        .zip(platform.split('/'))
    {
        members.insert((*name).to_owned(), json!(value));
    }
    members
}

/// A small image that differs from any other by `name`: one gzip layer, no package needed.
///
/// # Errors
/// When the layer cannot be made.
pub fn small(name: &str) -> anyhow::Result<Image> {
    let layer = Layer::from_text("etc/name", name, Compression::Gzip)?;
    Ok(Image::builder(Schema::Oci)
        .layer(layer, &format!("COPY {name} /etc/name"))
        .build())
}
