//! Names: durable pointers with labels, changed together or not at all.
//!
//! Knows nothing of references or tags: a name is text, a target is a digest.

pub(crate) mod apply;
mod heal;
pub(crate) mod mirror;
pub(crate) mod resolve;
pub(crate) mod row;
pub(crate) mod table;
pub(crate) mod withdrawn;

use crate::{Digest, Error};

/// The name space `index.json` shows.
pub const IMAGES: &str = "images";
/// The name space of what is quarantined and may have named content: databases that could not be read
/// completely, rows of names, another tool's index.
pub(crate) const LOST: &str = "lost";
/// The media type of a target that has none: whoever reads it looks at the bytes.
pub(crate) const UNTYPED: &str = "application/octet-stream";

/// Longest name in bytes: far above any reference, small enough for an index key.
const MAX_NAME: usize = 4096;
/// Longest name space in bytes; there are a handful of them.
const MAX_NAMESPACE: usize = 64;
/// Longest media type in bytes, as RFC 6838 bounds type and subtype to 127 each.
const MAX_MEDIA_TYPE: usize = 255;
/// All labels of one name together, in bytes. They are held in memory with every name.
const MAX_LABELS: usize = 256 * 1024;

/// A pointer to content: what it is, its digest, its size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Media type of the content, at most 255 bytes.
    pub media_type: String,
    /// Digest of the stored bytes.
    pub digest: Digest,
    /// Size of the stored bytes, in bytes.
    pub size: u64,
}

/// A durable named pointer with labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Unique within its name space.
    pub name: String,
    /// What it points at.
    pub target: Target,
    /// Small facts, in key order, keys unique.
    pub labels: Vec<(String, String)>,
    /// Milliseconds since 1970, when the name was first set.
    pub created: i64,
    /// Milliseconds since 1970, when it last got its target.
    pub updated: i64,
}

/// What a name must be for a change to apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// Anything.
    Any,
    /// Not there.
    Absent,
    /// Pointing at this digest.
    Target(Digest),
}

/// One part of a change of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets a name.
    Set {
        /// Name space, `[a-z-]+`, at most 64 bytes.
        namespace: String,
        /// 1 to 4096 bytes without control characters.
        name: String,
        /// The blob must be in the store and have this size.
        target: Target,
        /// Replaces the labels; at most 256 KiB together.
        labels: Vec<(String, String)>,
        /// Guard.
        expected: Expectation,
    },
    /// Removes a name. Removing an absent name changes nothing.
    Remove {
        /// Name space.
        namespace: String,
        /// The name.
        name: String,
        /// Guard.
        expected: Expectation,
    },
}

impl Change {
    /// Name space and name.
    fn key(&self) -> (&str, &str) {
        let (Change::Set {
            namespace, name, ..
        }
        | Change::Remove {
            namespace, name, ..
        }) = self;
        (namespace, name)
    }
}

/// What a name points at now.
/// Whether a stored row may be one of ours.
fn is_right(namespace: &str, name: &str, media_type: &str, labels: &str) -> bool {
    check_name(namespace, name).is_ok()
        && !media_type.is_empty()
        && media_type.len() <= MAX_MEDIA_TYPE
        && !media_type.chars().any(char::is_control)
        && labels_from_json(labels).is_ok()
}

fn check_name(namespace: &str, name: &str) -> Result<(), Error> {
    if namespace.is_empty()
        || namespace.len() > MAX_NAMESPACE
        || !namespace
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b == b'-')
    {
        return Err(Error::Invalid(format!(
            "name space {namespace:?} must be lower-case letters and '-', at most {MAX_NAMESPACE}"
        )));
    }
    if name.is_empty() || name.len() > MAX_NAME || name.chars().any(char::is_control) {
        return Err(Error::Invalid(format!(
            "a name must have 1 to {MAX_NAME} bytes and no control characters, this has {} bytes",
            name.len()
        )));
    }
    Ok(())
}

fn labels_to_json(name: &str, labels: &[(String, String)]) -> Result<String, Error> {
    // A map orders by key; of equal keys the last wins.
    let map: std::collections::BTreeMap<&str, &str> = labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let json = serde_json::to_string(&map)
        .map_err(|error| Error::Invalid(format!("labels of {name}: {error}")))?;
    if json.len() > MAX_LABELS {
        return Err(Error::Invalid(format!(
            "the labels of {name} have {} bytes, more than {MAX_LABELS}",
            json.len()
        )));
    }
    Ok(json)
}

fn labels_from_json(json: &str) -> Result<Vec<(String, String)>, Error> {
    if json == "{}" {
        return Ok(Vec::new());
    }
    serde_json::from_str::<std::collections::BTreeMap<String, String>>(json)
        .map(|map| map.into_iter().collect())
        .map_err(|error| Error::Invalid(format!("stored labels do not parse: {error}")))
}
