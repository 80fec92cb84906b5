//! Pax extended headers: `length key=value\n`, over and over.

/// What a pax header says about its entry, as far as it matters here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    /// `path`.
    pub(super) path: Option<Vec<u8>>,
    /// `linkpath`.
    pub(super) link: Option<Vec<u8>>,
    /// `size`.
    pub(super) size: Option<u64>,
    /// A `GNU.sparse.` key is there: the content is not what it seems.
    pub(super) sparse: bool,
}

impl Pax {
    /// Reads a whole header; of a key given twice the last counts, and an empty value takes it back.
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
                key => pax.sparse |= key.starts_with(b"GNU.sparse."),
            }
        }
        Ok(pax)
    }

    /// Whether it would change an entry.
    pub(super) fn matters(&self) -> bool {
        *self != Self::default()
    }
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

/// Digits only: no sign, no blank.
fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// A record as it is written: the length counts itself.
pub(super) fn write(key: &str, value: &str) -> String {
    // Blank, equals sign, line feed.
    let rest = key.len() + value.len() + 3;
    let mut length = rest;
    while length != rest + digits(length) {
        length = rest + digits(length);
    }
    format!("{length} {key}={value}\n")
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}
