//! Paths of a container's file system, as callers write them.

use strata_oci::layer::{Node, NodeKind, PathError, Tree};

use crate::{Error, Result};

/// A path as dockerd reads it: absolute, `.` and `..` taken away by their text alone, so
/// that `link/..` is where the link is; an end of `/` or `/.` is kept, as it means the
/// directory that a link leads to.
pub(super) struct Place<'a> {
    /// As asked for.
    asked: &'a [u8],
    /// As read.
    absolute: Vec<u8>,
    /// Its last component; `/` for the root, `.` if it ends so.
    pub(super) name: Vec<u8>,
    /// Whether it means a directory.
    is_directory: bool,
}

impl<'a> Place<'a> {
    /// Reads a path.
    pub(super) fn new(asked: &'a [u8]) -> Self {
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in asked.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        let mut absolute = vec![b'/'];
        absolute.extend(parts.join(&b'/'));
        let with_slash = asked.ends_with(b"/");
        let end = asked.iter().rposition(|byte| *byte != b'/');
        let stem = asked
            .get(..end.map_or(0, |end| end + 1))
            .unwrap_or_default();
        let with_dot = stem == b"." || stem.ends_with(b"/.");
        let name = match (parts.last(), with_dot) {
            (_, true) => b".".to_vec(),
            (Some(last), false) => last.to_vec(),
            (None, false) => b"/".to_vec(),
        };
        let is_directory = with_slash || with_dot;
        if is_directory && !parts.is_empty() {
            absolute.push(b'/');
        }
        Self {
            asked,
            absolute,
            name,
            is_directory,
        }
    }

    /// The path to resolve.
    pub(super) fn absolute(&self) -> &[u8] {
        &self.absolute
    }

    /// What is there, and its clean name; a link at the end is not followed.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is nothing, or no directory where one is meant;
    /// [`Error::InvalidArgument`] if links go in circles.
    pub(super) fn find(&self, tree: &Tree, container: &str) -> Result<(Vec<u8>, Node)> {
        self.resolve(tree, container, false)
    }

    /// The directory that is there or that a link there leads to.
    ///
    /// # Errors
    /// As [`Place::find`]; [`Error::InvalidArgument`] if it is no directory.
    pub(super) fn directory(&self, tree: &Tree, container: &str) -> Result<Vec<u8>> {
        let (path, node) = self.resolve(tree, container, true)?;
        match node.kind {
            NodeKind::Directory => Ok(path),
            _ => Err(Error::InvalidArgument(
                "extraction point is not a directory".to_owned(),
            )),
        }
    }

    fn resolve(&self, tree: &Tree, container: &str, follow_last: bool) -> Result<(Vec<u8>, Node)> {
        let missing = || {
            Error::NotFound(format!(
                "Could not find the file {} in container {container}",
                String::from_utf8_lossy(self.asked)
            ))
        };
        let path = match tree.resolve(&self.absolute, follow_last) {
            Ok(path) => path,
            Err(PathError::NotFound | PathError::NotDirectory) => return Err(missing()),
            Err(error @ PathError::TooManyLinks) => {
                return Err(Error::InvalidArgument(format!(
                    "{}: {error}",
                    String::from_utf8_lossy(self.asked)
                )));
            }
        };
        let node = tree.get(&path).ok_or_else(missing)?;
        match self.is_directory && !follow_last && node.kind != NodeKind::Directory {
            true => Err(missing()),
            false => Ok((path, node)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_dockerd_reads_them() {
        for (asked, absolute, name) in [
            ("/", "/", "/"),
            (".", "/", "."),
            ("/.", "/", "."),
            ("a", "/a", "a"),
            ("/a/b", "/a/b", "b"),
            ("//a//b/", "/a/b/", "b"),
            ("/a/b/.", "/a/b/", "."),
            ("/a/b/./", "/a/b/", "."),
            ("/a/../b", "/b", "b"),
            ("/../..", "/", "/"),
            ("/a/..", "/", "/"),
            ("/a/b.", "/a/b.", "b."),
        ] {
            let place = Place::new(asked.as_bytes());
            assert_eq!(place.absolute(), absolute.as_bytes(), "{asked}");
            assert_eq!(place.name, name.as_bytes(), "{asked}");
        }
    }
}
