//! Pax extended headers: `length key=value\n`, over and over.

use std::collections::BTreeMap;

use super::{number::decimal, sparse::Records};

/// What the key of an extended attribute starts with; its name follows.
pub(crate) const ATTRIBUTE_PREFIX: &[u8] = b"SCHILY.xattr.";

/// What a pax header says about its entry, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    /// `path`.
    pub(super) path: Option<Vec<u8>>,
    /// `linkpath`.
    pub(super) link: Option<Vec<u8>>,
    /// `size`.
    pub(super) size: Option<u64>,
    /// `GNU.sparse.`: the content is not what it seems.
    pub(super) sparse: Records,
    /// What only layers need.
    pub(super) attributes: Attributes,
}

/// What a pax header says that archives of images do without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// `uid`.
    pub(crate) uid: Option<u64>,
    /// `gid`.
    pub(crate) gid: Option<u64>,
    /// `mtime`: Unix seconds, rounded down.
    pub(crate) mtime: Option<i64>,
    /// `SCHILY.xattr.`, by name.
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What is wrong with one of them.
    pub(crate) fault: Option<&'static str>,
}

impl Pax {
    /// Reads a whole header; of a key given twice the last counts, and an empty value takes it back (that of an
    /// extended attribute is its value).
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(mut bytes: &[u8]) -> Result<Self, &'static str> {
        let mut pax = Self::default();
        while !bytes.is_empty() {
            let (key, value, rest) = record(bytes).ok_or("a pax record has a wrong length")?;
            bytes = rest;
            match key {
                b"path" => pax.path = text(value)?,
                b"linkpath" => pax.link = text(value)?,
                b"size" => pax.size = size(value)?,
                key => match key.strip_prefix(b"GNU.sparse.") {
                    Some(key) => pax.sparse.add(key, value)?,
                    None => pax.attributes.add(key, value),
                },
            }
        }
        Ok(pax)
    }

    /// Whether it would change what an entry is. What else it says is not heeded for all entries, as in Go.
    pub(super) fn matters(&self) -> bool {
        self.path.is_some() || self.link.is_some() || self.size.is_some() || !self.sparse.is_empty()
    }
}

impl Attributes {
    /// Takes note of a record, or of what is wrong with it.
    fn add(&mut self, key: &[u8], value: &[u8]) {
        let added = match key {
            b"uid" => set(&mut self.uid, decimal, value, "a pax uid is no number"),
            b"gid" => set(&mut self.gid, decimal, value, "a pax gid is no number"),
            b"mtime" => set(&mut self.mtime, seconds, value, "a pax mtime is no time"),
            key => match key.strip_prefix(ATTRIBUTE_PREFIX) {
                Some(name) if name.contains(&0) => {
                    Err("a pax attribute has a zero byte in its name")
                }
                Some(name) => {
                    self.xattrs.insert(name.to_vec(), value.to_vec());
                    Ok(())
                }
                None => Ok(()),
            },
        };
        self.fault = added.err().or(self.fault);
    }
}

/// Sets a value, empty ones to nothing.
fn set<T>(
    place: &mut Option<T>,
    parse: impl FnOnce(&[u8]) -> Option<T>,
    value: &[u8],
    fault: &'static str,
) -> Result<(), &'static str> {
    *place = match value {
        b"" => None,
        value => Some(parse(value).ok_or(fault)?),
    };
    Ok(())
}

/// One record: key, value, and what follows.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().position(|byte| *byte == b' ')?;
    let (length, _) = bytes.split_at_checked(space)?;
    let length = decimal(length).and_then(|length| usize::try_from(length).ok())?;
    let (record, rest) = bytes.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at_checked(equals)?;
    Some((key, value.get(1..)?, rest))
}

fn text(value: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    // A name that ends early elsewhere would be another name there.
    if value.contains(&0) {
        return Err("a pax name has a zero byte");
    }
    Ok((!value.is_empty()).then(|| value.to_vec()))
}

fn size(value: &[u8]) -> Result<Option<u64>, &'static str> {
    if value.is_empty() {
        return Ok(None);
    }
    let size = decimal(value).filter(|size| i64::try_from(*size).is_ok());
    size.map(Some).ok_or("a pax size is no size")
}

/// Seconds, perhaps before 1970, perhaps with a fraction: rounded down, so that a time has the same seconds here as in a
/// file system.
fn seconds(value: &[u8]) -> Option<i64> {
    let (is_negative, value) = match value.strip_prefix(b"-") {
        Some(value) => (true, value),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |byte| *byte == b'.');
    let whole = i64::try_from(decimal(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let is_whole = fraction.iter().all(|digit| *digit == b'0');
    match is_negative {
        false => Some(whole),
        true => (-whole).checked_sub(i64::from(!is_whole)),
    }
}

/// A record as it is written: the length counts itself.
pub(crate) fn write(key: &[u8], value: &[u8]) -> Vec<u8> {
    // Blank, equals sign, line feed.
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    let length = length.to_string();
    [length.as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}
