//! Changing names: all changes of one call, or none.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Transaction, params};

use super::row::Row;
use super::{
    Change, Expectation, IMAGES, MAX_MEDIA_TYPE, Target, check_name, heal, labels_to_json, mirror,
    withdrawn,
};
use crate::layout::Layout;
use crate::{Digest, Error};

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
            withdrawn::remember(transaction, name, current, change)?;
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
    target: &Target,
) -> Result<(), Error> {
    check_name(namespace, name)?;
    check_target(layout, name, target)
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

fn check_media_type(name: &str, target: &Target) -> Result<(), Error> {
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

fn check_target(layout: &Layout, name: &str, target: &Target) -> Result<(), Error> {
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
