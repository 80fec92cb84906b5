//! Names: their one spelling, and their order.

use std::cmp::Ordering;

/// A name without `.`, doubled or trailing slashes; `None` if it is absolute or has a `..`.
pub(super) fn clean(name: &[u8]) -> Option<Vec<u8>> {
    if name.starts_with(b"/") {
        return None;
    }
    let mut clean = Vec::with_capacity(name.len());
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => continue,
            b".." => return None,
            part => push(&mut clean, part),
        }
    }
    Some(clean)
}

/// Adds a component to a clean name.
pub(super) fn push(name: &mut Vec<u8>, part: &[u8]) {
    if !name.is_empty() {
        name.push(b'/');
    }
    name.extend_from_slice(part);
}

/// The directory a clean name is in; `None` for the root.
pub(super) fn parent(name: &[u8]) -> Option<&[u8]> {
    if name.is_empty() {
        return None;
    }
    let slash = name.iter().rposition(|byte| *byte == b'/');
    name.get(..slash.unwrap_or(0))
}

/// A clean name, ordered component by component: directories go before what is in them, and all of that before what
/// follows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Box<[u8]>);

impl Name {
    pub(super) fn new(name: &[u8]) -> Self {
        Self(name.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// What follows everything below it. It is no name, because no name has a zero byte.
    pub(super) fn end(name: &[u8]) -> Self {
        Self([name, b"\0"].concat().into())
    }
}

impl From<Vec<u8>> for Name {
    fn from(name: Vec<u8>) -> Self {
        Self(name.into())
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        let alike = alike(&self.0, &other.0);
        let this = self.0.get(alike..).unwrap_or_default();
        let other = other.0.get(alike..).unwrap_or_default();
        // The slash ends a component, so it goes before all that could go on with it.
        let rank = |byte: &u8| (*byte != b'/', *byte);
        this.iter().map(rank).cmp(other.iter().map(rank))
    }
}

/// Bytes at the start that two names have in common, perhaps a few less: names in one directory begin alike, and whole
/// slices compare faster than bytes.
fn alike(this: &[u8], other: &[u8]) -> usize {
    const FEW: usize = 8;
    let (mut start, mut end) = (0, this.len().min(other.len()));
    while end - start > FEW {
        let middle = start + (end - start) / 2;
        match this.get(start..middle) == other.get(start..middle) {
            true => start = middle,
            false => end = middle,
        }
    }
    start
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
