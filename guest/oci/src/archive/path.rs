//! Names of entries, reduced to one spelling each.

use super::{ArchiveError, MAX_NAME_BYTES};

/// A name without `.`, doubled or trailing slashes: `./blobs//sha256/` is `blobs/sha256`, the root is empty.
///
/// # Errors
/// [`ArchiveError::Outside`] if the name is absolute or has a `..`, even one that stays inside: no tool writes such.
/// [`ArchiveError::NameTooLong`] beyond [`MAX_NAME_BYTES`].
pub fn clean(name: &str) -> Result<String, ArchiveError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(ArchiveError::NameTooLong { size: name.len() });
    }
    join("", name).ok_or_else(|| ArchiveError::Outside(name.to_owned()))
}

/// The cleaned name a symbolic link at the cleaned name `path` leads to.
///
/// # Errors
/// [`ArchiveError::LinkOutside`] if `target` is absolute or climbs above the root.
pub fn follow(path: &str, target: &str) -> Result<String, ArchiveError> {
    let outside = || ArchiveError::LinkOutside {
        path: path.to_owned(),
        target: target.to_owned(),
    };
    let mut parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let mut rest = target;
    // Links climb first and descend then; a `..` further on would need the directories to be known.
    loop {
        rest = rest.trim_start_matches("./");
        match rest.strip_prefix("..") {
            Some(after) if after.is_empty() || after.starts_with('/') => {
                if parent.is_empty() {
                    return Err(outside());
                }
                parent = parent.rsplit_once('/').map_or("", |(parent, _)| parent);
                rest = after.trim_start_matches('/');
            }
            _ => break,
        }
    }
    if target.starts_with('/') {
        return Err(outside());
    }
    join(parent, rest).ok_or_else(outside)
}

/// `name` below the cleaned `parent`; `None` if it is absolute or has a `..`.
fn join(parent: &str, name: &str) -> Option<String> {
    if name.starts_with('/') {
        return None;
    }
    let mut joined = String::with_capacity(parent.len() + 1 + name.len());
    joined.push_str(parent);
    for part in name.split('/') {
        match part {
            "" | "." => continue,
            ".." => return None,
            part => {
                if !joined.is_empty() {
                    joined.push('/');
                }
                joined.push_str(part);
            }
        }
    }
    Some(joined)
}
