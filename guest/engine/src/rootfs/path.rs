//! Clean names: paths within a file system, without a slash at either end.

/// Directory and last component of a clean name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (
            path.get(..slash).unwrap_or_default(),
            path.get(slash + 1..).unwrap_or_default(),
        ),
        None => (b"", path),
    }
}

/// The clean name of `name` in a directory.
pub(crate) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(directory.len() + 1 + name.len());
    path.extend_from_slice(directory);
    if !directory.is_empty() && !name.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// Whether the clean name `path` is in the directory `top`, at any depth.
pub(crate) fn is_below(path: &[u8], top: &[u8]) -> bool {
    let rest = path.strip_prefix(top);
    rest.is_some_and(|rest| top.is_empty() && !rest.is_empty() || rest.starts_with(b"/"))
}

/// A clean name as people write it.
pub(crate) fn shown(path: &[u8]) -> String {
    format!("/{}", String::from_utf8_lossy(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_by_components() {
        for (path, top, expected) in [
            ("a/b", "a", true),
            ("a/b/c", "a", true),
            ("ab", "a", false),
            ("a", "a", false),
            ("a", "", true),
            ("", "", false),
        ] {
            assert_eq!(
                is_below(path.as_bytes(), top.as_bytes()),
                expected,
                "{path}"
            );
        }
    }
}
