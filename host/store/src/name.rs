//! Names: durable pointers with labels, changed together or not at all.
//!
//! Knows nothing of references or tags: a name is text, a target is a digest.

pub(crate) mod heal;
pub(crate) mod mirror;
pub(crate) mod row;
mod snapshots;

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Transaction, params};

use crate::index::IMAGES;
use crate::layout::Layout;
use crate::{Digest, Error};
use row::Row;
pub(crate) use snapshots::Snapshots;

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
pub struct Descriptor {
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
    pub target: Descriptor,
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
        target: Descriptor,
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

/// Applies all changes or fails. Returns whether anything, and whether name space `images` changed.
pub(crate) fn apply(
    transaction: &Transaction<'_>,
    layout: &Layout,
    changes: &[Change],
) -> Result<Applied, Error> {
    let mut applied = Applied::default();
    // Before anything is read: what the changes are about may be other than it was written.
    for change in changes {
        let (namespace, name) = change.key();
        if mirror::current(transaction, namespace, name)?.is_none() {
            heal::heal(transaction, layout)?;
            (applied.any, applied.images) = (true, true);
            break;
        }
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
    let kept = named_already(transaction, layout, changes)?;
    for change in changes {
        let (Change::Set {
            namespace,
            name,
            expected,
            ..
        }
        | Change::Remove {
            namespace,
            name,
            expected,
        }) = change;
        check_name(namespace, name)?;
        let current = digest_of(transaction, namespace, name)?;
        let current = current.as_ref().map(Digest::as_str);
        check_expectation(name, expected, current)?;
        match change {
            Change::Set { target, labels, .. } => {
                if kept.contains(&target.digest) {
                    check_media_type(name, target)?;
                } else {
                    check_target(layout, name, target)?;
                }
                transaction
                    .prepare_cached(
                        "INSERT INTO names VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
                         ON CONFLICT DO UPDATE SET media_type = ?3, digest = ?4, size = ?5,
                             labels = ?6, updated = ?7",
                    )?
                    .execute(params![
                        namespace,
                        name,
                        target.media_type,
                        target.digest.as_str(),
                        target.size.cast_signed(),
                        labels_to_json(name, labels)?,
                        now
                    ])?;
                mirror::seal(transaction, namespace, name)?;
            }
            Change::Remove { .. } if current.is_none() => continue,
            Change::Remove { .. } => {
                transaction
                    .prepare_cached("DELETE FROM names WHERE namespace = ? AND name = ?")?
                    .execute([namespace, name])?;
            }
        }
        applied.any = true;
        if namespace == IMAGES {
            applied.images = true;
            crate::index::remember_withdrawn(transaction, name, current, change)?;
        }
    }
    Ok(applied)
}

/// Targets that are damaged or gone and lose a name by the same changes: another in its stead makes nothing
/// worse, and an image must be able to lose its name although a container keeps it.
fn named_already(
    transaction: &Transaction<'_>,
    layout: &Layout,
    changes: &[Change],
) -> Result<HashSet<Digest>, Error> {
    let mut suspects = HashSet::new();
    for change in changes {
        if let Change::Set { target, .. } = change
            && layout.blob_size(&target.digest)? != Some(target.size)
        {
            suspects.insert(&target.digest);
        }
    }
    let mut named = HashSet::new();
    if suspects.is_empty() {
        return Ok(named);
    }
    for change in changes {
        let Change::Remove {
            namespace, name, ..
        } = change
        else {
            continue;
        };
        let lost = digest_of(transaction, namespace, name)?;
        named.extend(lost.filter(|lost| suspects.contains(lost)));
    }
    Ok(named)
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
fn digest_of(
    transaction: &Transaction<'_>,
    namespace: &str,
    name: &str,
) -> Result<Option<Digest>, Error> {
    let row = mirror::current(transaction, namespace, name)?.flatten();
    Ok(row.as_ref().and_then(Row::digest))
}

/// What [`apply`] changed.
#[derive(Clone, Copy, Default)]
pub(crate) struct Applied {
    pub(crate) any: bool,
    pub(crate) images: bool,
}

/// Checks all that [`apply`] would demand of a name and its target.
pub(crate) fn check(
    layout: &Layout,
    namespace: &str,
    name: &str,
    target: &Descriptor,
) -> Result<(), Error> {
    check_name(namespace, name)?;
    check_target(layout, name, target)
}

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

fn check_expectation(
    name: &str,
    expected: &Expectation,
    current: Option<&str>,
) -> Result<(), Error> {
    let conflict = |is: &str, should: &str| {
        Err(Error::Conflict(format!(
            "name {name} {is}, expected {should}; read it again"
        )))
    };
    match (expected, current) {
        (Expectation::Any, _) | (Expectation::Absent, None) => Ok(()),
        (Expectation::Target(digest), Some(current)) if digest.as_str() == current => Ok(()),
        (Expectation::Absent, Some(current)) => conflict(&format!("points at {current}"), "none"),
        (Expectation::Target(digest), Some(current)) => {
            conflict(&format!("points at {current}"), digest.as_str())
        }
        (Expectation::Target(digest), None) => conflict("is not there", digest.as_str()),
    }
}

fn check_media_type(name: &str, target: &Descriptor) -> Result<(), Error> {
    if target.media_type.is_empty()
        || target.media_type.len() > MAX_MEDIA_TYPE
        || target.media_type.chars().any(char::is_control)
    {
        return Err(Error::Invalid(format!(
            "the media type of the target of {name} must have 1 to {MAX_MEDIA_TYPE} bytes"
        )));
    }
    Ok(())
}

fn check_target(layout: &Layout, name: &str, target: &Descriptor) -> Result<(), Error> {
    check_media_type(name, target)?;
    match layout.blob_size(&target.digest)? {
        Some(size) if size == target.size => Ok(()),
        Some(size) => Err(Error::Invalid(format!(
            "the target of {name}, {}, has {size} bytes, its descriptor says {}",
            target.digest, target.size
        ))),
        None => Err(Error::NotFound(format!(
            "the target of {name}, {}, is not in the store; store it first",
            target.digest
        ))),
    }
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
