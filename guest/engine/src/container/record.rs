//! What the store keeps of a container.
//!
//! An index with [`ARTIFACT_TYPE`] lists the image's manifest and the container's own,
//! which is of that type too. The config of the latter is a [`Record`], its layers are
//! what was changed, oldest first, as plain tar. All of it is made again when something
//! changes; only layers stay.

use std::{collections::BTreeMap, rc::Rc};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use strata_oci::{
    Descriptor, Digest, Document, Index, Manifest, Platform,
    config::{ContainerConfig, MAX_CONFIG_BYTES},
    media_type,
};

use crate::{
    Change, Engine, Error, Expectation, Host, LeaseOf, Result, Store, Target,
    catalog::{CONTAINERS, Container, Documents},
};

/// The artifact type of a container, and the media type of its record.
pub(super) const ARTIFACT_TYPE: &str = "application/vnd.strata.container.v1+json";
/// The annotation of the container's manifest with the bytes of the files its layers
/// changed. It saves listings from reading the layers.
const CHANGED_SIZE: &str = "vnd.strata.container.changed-size";

/// The most bytes a record may have. What clients say of a container has some thousand, and
/// with the config of its image seldom more than a hundred thousand; every listing reads
/// all records.
const MAX_RECORD_BYTES: usize = 512 << 10;

/// What is wrong with a name whose target is something else.
const NO_CONTAINER: &str = "what is kept of it is no container";

/// What was said when the container was created.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Record {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    /// Its name without slash.
    pub(super) name: String,
    /// Unix seconds and nanoseconds.
    pub(super) created: (i64, u32),
    /// The image as typed.
    pub(super) image: String,
    /// Digest of the image's target.
    pub(super) image_id: Digest,
    /// The platform's manifest.
    pub(super) manifest: Descriptor,
    /// The platform chosen.
    pub(super) platform: Platform,
    /// Its config, with what the image gave.
    pub(super) config: ContainerConfig,
    /// As given at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) host_config: Option<Box<RawValue>>,
    /// As given at creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) networking_config: Option<Box<RawValue>>,
}

/// A container with all that is stored of it.
pub(super) struct Saved {
    /// Its name.
    pub(super) container: Container,
    /// Its record.
    pub(super) record: Record,
    /// Where the record is.
    pub(super) config: Descriptor,
    /// What was changed, oldest first.
    pub(super) diffs: Vec<Descriptor>,
    /// Bytes of the files changed.
    pub(super) changed_size: u64,
    /// What the index reaches.
    pub(super) documents: Documents,
}

impl Saved {
    /// The image's manifest for the platform.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it got lost, or is damaged.
    pub(super) fn image_manifest(&self) -> Result<&Manifest> {
        let digest = &self.record.manifest.digest;
        manifest(&self.documents, digest).ok_or_else(|| {
            Error::NotFound(format!(
                "manifest {digest} of container {}'s image is missing or damaged, pull {} again",
                self.record.name, self.record.image
            ))
        })
    }
}

impl<H: Host> Engine<H> {
    /// Reads a container.
    ///
    /// # Errors
    /// [`Error::Damaged`] if what is kept of it got lost, is damaged, or is no container's.
    pub(super) async fn saved(&self, container: &Container) -> Result<Saved> {
        let saved = self.try_saved(container).await?;
        saved.map_err(|reason| damaged(container, &reason))
    }

    /// Reads a container, or tells what is wrong with what is kept of it alone. Of what is damaged
    /// of its image nothing is said: that is no reason to remove it.
    ///
    /// # Errors
    /// As the store's reads, unless they are about one blob.
    pub(super) async fn try_saved(
        &self,
        container: &Container,
    ) -> Result<std::result::Result<Saved, String>> {
        let target = &container.target;
        let (documents, _) = self
            .readable_documents(std::slice::from_ref(target))
            .await?;
        let Some(root) = documents.get(&target.digest) else {
            return Ok(Err(self.reason(&target.digest).await?));
        };
        let document: Option<Rc<Document>> = root.document.clone();
        let Some(Document::Index(index)) = document.as_deref() else {
            return Ok(Err(NO_CONTAINER.to_owned()));
        };
        let own = index.manifests.iter().find(|manifest| {
            let kind = manifest.artifact_type.as_deref();
            kind == Some(ARTIFACT_TYPE)
        });
        let Some(own) = own else {
            return Ok(Err(NO_CONTAINER.to_owned()));
        };
        let own = match (
            documents.get(&own.digest),
            manifest(&documents, &own.digest),
        ) {
            (_, Some(manifest)) => manifest,
            (Some(_), None) => return Ok(Err(NO_CONTAINER.to_owned())),
            (None, None) => return Ok(Err(self.reason(&own.digest).await?)),
        };
        let config = own.config.clone();
        let bytes = self.store.get(&config.digest, MAX_CONFIG_BYTES as u64);
        let bytes = match bytes.await {
            Err(Error::Damaged(_) | Error::NotFound(_)) => {
                return Ok(Err(self.reason(&config.digest).await?));
            }
            bytes => bytes?,
        };
        let Some(record) = read::<Record>(&bytes) else {
            return Ok(Err(NO_CONTAINER.to_owned()));
        };
        let changed_size = own.annotations.get(CHANGED_SIZE);
        let changed_size = changed_size.and_then(|size| size.parse().ok());
        let diffs = own.layers.clone();
        let mut container = container.clone();
        // What its name says may be damaged.
        container.image = record.image_id.clone();
        Ok(Ok(Saved {
            container,
            record,
            config,
            diffs,
            changed_size: changed_size.unwrap_or_default(),
            documents,
        }))
    }

    /// Why a blob that should be here cannot be had.
    async fn reason(&self, digest: &Digest) -> Result<String> {
        let mut damaged = self.store.damaged().await?.into_iter();
        Ok(match damaged.find(|(it, _)| it == digest) {
            Some((_, why)) => format!("blob {digest} is damaged: {why}"),
            None => format!("blob {digest} is missing"),
        })
    }

    /// Stores a new container's record and documents.
    ///
    /// # Errors
    /// [`Error::QuotaExceeded`] beyond [`MAX_RECORD_BYTES`]; as the store's `put`.
    pub(super) async fn put_record(&self, record: &Record, lease: &LeaseOf<H>) -> Result<Target> {
        let bytes = encode(record)?;
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(Error::QuotaExceeded(format!(
                "the container's config, with what its image adds, would have {} bytes, the limit is {MAX_RECORD_BYTES}",
                bytes.len()
            )));
        }
        let config = self.put_document(ARTIFACT_TYPE, bytes, lease).await?;
        self.put_container(record, config, Vec::new(), 0, lease)
            .await
    }

    /// Stores the documents of a container with other changes.
    ///
    /// # Errors
    /// As the store's `put`.
    pub(super) async fn put_changes(
        &self,
        saved: &Saved,
        diffs: Vec<Descriptor>,
        changed_size: u64,
        lease: &LeaseOf<H>,
    ) -> Result<Target> {
        let config = saved.config.clone();
        self.put_container(&saved.record, config, diffs, changed_size, lease)
            .await
    }

    async fn put_container(
        &self,
        record: &Record,
        config: Descriptor,
        diffs: Vec<Descriptor>,
        changed_size: u64,
        lease: &LeaseOf<H>,
    ) -> Result<Target> {
        let own = Manifest {
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            config,
            layers: diffs,
            annotations: BTreeMap::from([(CHANGED_SIZE.to_owned(), changed_size.to_string())]),
            subject: None,
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        };
        let own = encode(&own)?;
        let mut own = self
            .put_document(media_type::OCI_MANIFEST, own, lease)
            .await?;
        own.artifact_type = Some(ARTIFACT_TYPE.to_owned());
        let index = Index {
            media_type: Some(media_type::OCI_INDEX.to_owned()),
            manifests: vec![record.manifest.clone(), own],
            annotations: BTreeMap::new(),
            subject: None,
            artifact_type: Some(ARTIFACT_TYPE.to_owned()),
        };
        let index = encode(&index)?;
        let index = self
            .put_document(media_type::OCI_INDEX, index, lease)
            .await?;
        Ok(Target {
            media_type: index.media_type,
            digest: index.digest,
            size: index.size,
        })
    }
}

/// The change that points a container's name at what was just stored.
pub(super) fn set(container: &Container, target: &Target, expected: Expectation) -> Change {
    Change::Set {
        namespace: CONTAINERS.to_owned(),
        name: container.id.clone(),
        target: target.clone(),
        labels: container.labels(),
        expected,
    }
}

fn manifest<'a>(documents: &'a Documents, digest: &Digest) -> Option<&'a Manifest> {
    match documents.get(digest)?.document.as_deref()? {
        Document::Manifest(manifest) => Some(manifest),
        Document::Index(_) => None,
    }
}

/// What to say of a container that cannot be read. There is nothing to pull.
fn damaged(container: &Container, reason: &str) -> Error {
    let name = container.shown();
    Error::Damaged(format!(
        "container {name} is damaged: {reason}; remove it with `docker rm {name}` or `strata rm {name}`"
    ))
}

fn read<D: DeserializeOwned>(bytes: &[u8]) -> Option<D> {
    serde_json::from_slice(bytes).ok()
}

fn encode(document: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(document).map_err(|error| Error::Internal(error.to_string()))
}
