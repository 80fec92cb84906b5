//! What Docker's own archives have inside: `manifest.json`, and `repositories` for older tools.
//!
//! "Image tarball format" in <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageGet>

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{json, nullable};

/// The file that lists the images.
pub const MANIFEST_FILE: &str = "manifest.json";
/// The file that lists the tags.
pub const REPOSITORIES_FILE: &str = "repositories";

/// The content of [`REPOSITORIES_FILE`]: familiar repository, tag, hexadecimal digest of the top layer.
pub type Repositories = BTreeMap<String, BTreeMap<String, String>>;

/// One image in [`MANIFEST_FILE`]; members keep the order Go writes them in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Row {
    /// The config's place in the archive.
    #[serde(default, deserialize_with = "nullable::or_default")]
    pub config: String,
    /// Familiar names; `null` if there are none.
    #[serde(
        default,
        deserialize_with = "nullable::or_default",
        serialize_with = "or_null"
    )]
    pub repo_tags: Vec<String>,
    /// The layers' places in the archive, lowest first.
    #[serde(
        default,
        deserialize_with = "nullable::or_default",
        serialize_with = "or_null"
    )]
    pub layers: Vec<String>,
}

/// Reads [`MANIFEST_FILE`]; `None` if it is `null`, which stands for no such file.
///
/// # Errors
/// If it is no list of objects.
pub fn parse_manifest(bytes: &[u8]) -> Result<Option<Vec<Row>>, json::Error> {
    json::from_slice(bytes)
}

/// Writes an empty list as Go writes one that was never made.
fn or_null<S: serde::Serializer>(list: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    match list {
        [] => serializer.serialize_none(),
        list => list.serialize(serializer),
    }
}
