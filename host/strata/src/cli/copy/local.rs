//! What is at a local path.

use std::path::Path;
use std::{fs, io};

use super::place::{self, Found, Source};

/// What is at a local path that is copied to.
///
/// # Errors
///
/// If it cannot be told.
pub(super) fn found(path: &str) -> io::Result<Found> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Ok(Found::Directory),
        Ok(metadata) if metadata.is_file() => Ok(Found::File),
        // A file would take its place.
        Ok(_) => Err(io::Error::other("it is a device, pipe or socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Nothing),
        Err(error) => Err(error),
    }
}

/// What is at a local path that is copied from. A `/` at its end follows a link.
///
/// # Errors
///
/// If there is nothing, or it cannot be told.
pub(super) fn source(path: &str, follow: bool) -> io::Result<Source> {
    let metadata = match follow {
        true => fs::metadata(path)?,
        false => fs::symlink_metadata(path)?,
    };
    let is_directory = metadata.is_dir();
    let name = match Path::new(path).file_name() {
        // `file_name` ignores what means the contents.
        Some(name) => Some(name.to_owned()),
        // `..` and the like have a name, too; only the root has none.
        None => fs::canonicalize(path)?.file_name().map(ToOwned::to_owned),
    };
    let contents_only = is_directory && (name.is_none() || place::means_contents(path));
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source {
        name,
        is_directory,
        contents_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_no_destination() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display().to_string();
        assert_eq!(found(&path).unwrap(), Found::Directory);
        let path = format!("{path}/f");
        assert_eq!(found(&path).unwrap(), Found::Nothing);
        fs::write(&path, "").unwrap();
        assert_eq!(found(&path).unwrap(), Found::File);
        assert!(found("/dev/null").is_err());
    }

    #[test]
    fn a_source_is_told_by_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("d")).unwrap();
        std::fs::write(root.join("f"), "").unwrap();
        std::os::unix::fs::symlink("d", root.join("l")).unwrap();
        for (path, follow, name, is_directory, contents_only) in [
            ("f", false, "f", false, false),
            ("d", false, "d", true, false),
            ("d/", false, "d", true, false),
            ("d/.", false, "d", true, true),
            ("d/../d", false, "d", true, false),
            ("l", false, "l", false, false),
            ("l", true, "l", true, false),
            ("l/", false, "l", true, false),
        ] {
            let path = format!("{}/{path}", root.display());
            let source = source(&path, follow).unwrap();
            assert_eq!(source.name, name, "{path}");
            assert_eq!(source.is_directory, is_directory, "{path}");
            assert_eq!(source.contents_only, contents_only, "{path}");
        }
        let parent = source(&format!("{}/d/..", root.display()), false).unwrap();
        let expected = root.canonicalize().unwrap();
        assert_eq!(Some(parent.name.as_ref()), expected.file_name());
        assert!(source("/", false).unwrap().contents_only);
        assert!(source("/nonexistent", false).is_err());
    }
}
