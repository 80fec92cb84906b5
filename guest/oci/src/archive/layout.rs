//! What an OCI image layout has inside, and how names stand in it.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use serde::{Deserialize, Serialize};

use crate::{Descriptor, Digest, json, nullable};

/// The file that marks an archive as an OCI layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// The file that lists the images.
pub const INDEX_FILE: &str = "index.json";
/// The directory of content.
pub const BLOBS: &str = "blobs";
/// The one version of layouts there is.
pub const LAYOUT_VERSION: &str = "1.0.0";
/// The annotation with an image's whole name, `docker.io/library/alpine:latest`.
pub const IMAGE_NAME: &str = "io.containerd.image.name";
/// The annotation with the reference of an image; by the specification whatever the writer likes, usually the tag.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the digest of what an entry is about, if it is no image but a referrer; containerd's.
pub const SUBJECT: &str = "io.containerd.manifest.subject";

/// The place of content in the archive: `blobs/sha256/…`.
pub fn blob_path(digest: &Digest) -> String {
    format!(
        "{BLOBS}/{}/{}",
        digest.algorithm().as_str(),
        digest.encoded()
    )
}

/// The digest of the content at a cleaned name; `None` if that is no place for content.
pub fn blob_digest(path: &str) -> Option<Digest> {
    let (algorithm, encoded) = path
        .strip_prefix(BLOBS)?
        .strip_prefix('/')?
        .split_once('/')?;
    Digest::parse(&format!("{algorithm}:{encoded}")).ok()
}

/// The content of [`LAYOUT_FILE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Layout {
    /// Its version; empty if none is given, and then it is no layout.
    #[serde(default, deserialize_with = "nullable::or_default")]
    pub image_layout_version: String,
}

impl Layout {
    /// Reads the file.
    ///
    /// # Errors
    /// If it is no JSON object, or the version no string.
    pub fn parse(bytes: &[u8]) -> Result<Self, json::Error> {
        json::from_slice(bytes)
    }
}

/// The content of [`INDEX_FILE`]: an index without the bounds of one that is content, since an archive may hold any
/// number of images.
#[derive(Debug, Deserialize)]
struct Images {
    #[serde(default, deserialize_with = "nullable::or_default")]
    manifests: Vec<Descriptor>,
}

/// Reads [`INDEX_FILE`], however many images it lists: the caller sees to [`super::MAX_METADATA_VALUES`].
///
/// # Errors
/// If it is no JSON object or an entry no descriptor.
pub fn parse_index(bytes: &[u8]) -> Result<Vec<Descriptor>, json::Error> {
    let Images { manifests } = json::from_slice_unlimited(bytes)?;
    Ok(manifests)
}
