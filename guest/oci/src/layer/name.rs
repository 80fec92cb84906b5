//! Names: their one spelling.

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

/// The directory a clean name is in, the root for the root, and its last component.
pub(super) fn split(name: &[u8]) -> (&[u8], &[u8]) {
    let slash = name.iter().rposition(|byte| *byte == b'/');
    match slash.and_then(|slash| name.split_at_checked(slash)) {
        Some((parent, rest)) => (parent, rest.get(1..).unwrap_or_default()),
        None => (b"", name),
    }
}

/// The components of a clean name; none for the root.
pub(super) fn components(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty())
}
