//! A row of names as it is stored, whatever is in it: a bit of it may have flipped.

use std::fmt;

use rusqlite::types::{Value, ValueRef};
use sha2::Digest as _;

use super::{Name, Target, UNTYPED, is_right, labels_from_json};
use crate::layout::Layout;
use crate::{Digest, Error};

/// The columns, in the order of the table.
pub(crate) const COLUMNS: &str =
    "namespace, name, media_type, digest, size, labels, created, updated";
/// How many there are.
pub(crate) const COUNT: usize = 8;

/// The columns of a row: name space, name, media type, digest, size, labels, created, updated.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row(pub(crate) [Value; COUNT]);

/// Name space and name, in the order of the table.
pub(crate) type Key = [Vec<u8>; 2];

impl Row {
    /// Takes the first columns of a row that is being read. Text that is no UTF-8 is taken as bytes.
    pub(crate) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
        let mut values = [const { Value::Null }; COUNT];
        for (at, value) in values.iter_mut().enumerate() {
            *value = owned(row.get_ref(at)?);
        }
        Ok(Row(values))
    }

    /// Where it is in the table.
    pub(crate) fn key(&self) -> Key {
        let [space, name, ..] = &self.0;
        [space, name].map(|value| match value {
            Value::Text(text) => text.as_bytes().to_vec(),
            Value::Blob(bytes) => bytes.clone(),
            _ => Vec::new(),
        })
    }

    /// What tells whether anything in it has changed: the beginning of a SHA-256 digest.
    pub(crate) fn checksum(&self) -> i64 {
        let mut hasher = sha2::Sha256::new();
        for value in &self.0 {
            let (kind, bytes): (u8, &[u8]) = match value {
                Value::Text(text) => (1, text.as_bytes()),
                Value::Blob(bytes) => (2, bytes),
                Value::Integer(number) => {
                    hasher.update([3]);
                    hasher.update(number.to_le_bytes());
                    continue;
                }
                Value::Real(number) => {
                    hasher.update([4]);
                    hasher.update(number.to_le_bytes());
                    continue;
                }
                Value::Null => (5, &[]),
            };
            hasher.update([kind]);
            hasher.update((bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        }
        let digest = hasher.finalize();
        let start = digest.first_chunk::<8>().copied().unwrap_or_default();
        i64::from_le_bytes(start)
    }

    /// Whether it may be one that was written.
    pub(crate) fn is_right(&self) -> bool {
        match &self.0 {
            [
                Value::Text(space),
                Value::Text(name),
                Value::Text(media_type),
                Value::Text(digest),
                Value::Integer(0..),
                Value::Text(labels),
                Value::Integer(_),
                Value::Integer(_),
            ] => is_right(space, name, media_type, labels) && Digest::parse(digest).is_ok(),
            _ => false,
        }
    }

    /// The digest of its target, if that can be read.
    pub(crate) fn digest(&self) -> Option<Digest> {
        let [_, _, _, Value::Text(digest), ..] = &self.0 else {
            return None;
        };
        Digest::parse(digest).ok()
    }

    /// Whether its target is in the store, and as large as it says.
    pub(crate) fn is_here(&self, layout: &Layout) -> bool {
        let [_, _, _, _, Value::Integer(size), ..] = &self.0 else {
            return false;
        };
        let Some(digest) = self.digest() else {
            return false;
        };
        let found = layout.blob_size(&digest);
        found.is_ok_and(|found| found == Some(size.cast_unsigned()))
    }

    /// Whether both are about one target, set at one time: then they are one row whose name differs.
    pub(crate) fn is_like(&self, other: &Row) -> bool {
        let [_, _, _, digest, _, _, created, updated] = &self.0;
        let [_, _, _, other_digest, _, _, other_created, other_updated] = &other.0;
        (digest, created, updated) == (other_digest, other_created, other_updated)
    }

    /// A row with the same name and all else that can be read. If the digest cannot, it points at what
    /// nobody has, and so keeps all content until somebody sets or removes it. `None` if the name
    /// cannot be read.
    pub(crate) fn mended(&self, layout: &Layout) -> Option<Row> {
        let [space, name, media_type, _, size, labels, created, updated] = &self.0;
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let number = |value: &Value| match value {
            Value::Integer(number) => *number,
            _ => 0,
        };
        let (space, name) = (text(space)?, text(name)?);
        let digest = self
            .digest()
            .unwrap_or_else(|| Digest::sha256(format!("lost {space} {name}").as_bytes()));
        let size = match layout.blob_size(&digest) {
            Ok(Some(size)) => size.cast_signed(),
            _ => number(size).max(0),
        };
        let is_type = |text: &String| is_right(&space, &name, text, "{}");
        let is_labels = |text: &String| labels_from_json(text).is_ok();
        let row = Row([
            Value::Text(space.clone()),
            Value::Text(name.clone()),
            Value::Text(
                text(media_type)
                    .filter(is_type)
                    .unwrap_or_else(|| UNTYPED.to_owned()),
            ),
            Value::Text(digest.to_string()),
            Value::Integer(size),
            Value::Text(
                text(labels)
                    .filter(is_labels)
                    .unwrap_or_else(|| "{}".to_owned()),
            ),
            Value::Integer(number(created)),
            Value::Integer(number(updated)),
        ]);
        row.is_right().then_some(row)
    }

    /// As a name; `None` if it cannot be one.
    pub(crate) fn name(&self) -> Option<(&str, Name)> {
        let [
            Value::Text(space),
            Value::Text(name),
            Value::Text(media_type),
            Value::Text(digest),
            Value::Integer(size),
            Value::Text(labels),
            Value::Integer(created),
            Value::Integer(updated),
        ] = &self.0
        else {
            return None;
        };
        let name = Name {
            name: name.clone(),
            target: Target {
                media_type: media_type.clone(),
                digest: Digest::parse(digest).ok()?,
                size: size.cast_unsigned(),
            },
            labels: labels_from_json(labels).ok()?,
            created: *created,
            updated: *updated,
        };
        Some((space, name))
    }
}

/// As people are shown what cannot be read, and as it is kept for them.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for value in &self.0 {
            f.write_str(between)?;
            between = " ";
            match value {
                Value::Text(text) => write!(f, "{text:?}")?,
                Value::Blob(bytes) => write!(f, "b\"{}\"", bytes.escape_ascii())?,
                Value::Integer(number) => write!(f, "{number}")?,
                Value::Real(number) => write!(f, "{number}")?,
                Value::Null => f.write_str("null")?,
            }
        }
        Ok(())
    }
}

fn owned(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Blob(bytes.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    }
}

/// Reads a name from the columns of a row, without taking it apart twice; `None` if it cannot be one. What is
/// `checked` was compared with what was written.
pub(crate) fn name_of(row: &rusqlite::Row<'_>, checked: bool) -> Result<Option<Name>, Error> {
    let text = |at| -> Result<Option<&str>, Error> { Ok(row.get_ref(at)?.as_str().ok()) };
    let number = |at| -> Result<Option<i64>, Error> { Ok(row.get_ref(at)?.as_i64().ok()) };
    let (Some(space), Some(name), Some(media_type), Some(digest), Some(labels)) =
        (text(0)?, text(1)?, text(2)?, text(3)?, text(5)?)
    else {
        return Ok(None);
    };
    let (Some(size @ 0..), Some(created), Some(updated)) = (number(4)?, number(6)?, number(7)?)
    else {
        return Ok(None);
    };
    let (Ok(digest), Ok(found)) = (Digest::parse(digest), labels_from_json(labels)) else {
        return Ok(None);
    };
    if !checked && !is_right(space, name, media_type, "{}") {
        return Ok(None);
    }
    Ok(Some(Name {
        name: name.to_owned(),
        target: Target {
            media_type: media_type.to_owned(),
            digest,
            size: size.cast_unsigned(),
        },
        labels: found,
        created,
        updated,
    }))
}
