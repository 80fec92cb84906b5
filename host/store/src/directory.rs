//! Directories that stay: made with all above them, and synced.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::Error;
use crate::error::Doing as _;

/// Makes a directory with all above it, durably: content is not there if the way to it is not.
pub(crate) fn make(directory: &Path) -> Result<(), Error> {
    make_with(directory, &mut sync)
}

/// The same; `sync_parent` makes creations in a directory durable.
fn make_with(
    directory: &Path,
    sync_parent: &mut impl FnMut(&Path) -> Result<(), Error>,
) -> Result<(), Error> {
    let doing = || format!("creating {}", directory.display());
    if directory.is_dir() {
        return Ok(());
    }
    let parent = match directory.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Some(Path::new(".")),
        parent => parent,
    };
    if let Some(parent) = parent {
        make_with(parent, sync_parent)?;
    }
    match fs::create_dir(directory) {
        // Another process was quicker, and may not have synced it yet.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(not_a_folder(directory));
        }
        result => result.doing(doing)?,
    }
    match parent {
        Some(parent) => sync_parent(parent),
        None => Ok(()),
    }
}

/// Makes creations and removals in a directory durable.
pub(crate) fn sync(directory: &Path) -> Result<(), Error> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .doing(|| format!("syncing {}", directory.display()))
}

/// Something else is where a folder has to be.
pub(crate) fn not_a_folder(path: &Path) -> Error {
    Error::Invalid(format!(
        "{} is not a folder; move it away, and the store makes it anew",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_way_to_a_directory_is_durable_before_what_is_in_it() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        for (directory, expected) in [
            ("store/blobs/sha256", &["", "store", "store/blobs"][..]),
            ("store/blobs/sha512", &["store/blobs"]),
            ("store/blobs/sha256", &[]),
        ] {
            let directory = place.join(directory);
            let mut synced = Vec::new();
            make_with(&directory, &mut |parent| {
                // What it was made for is in it by then, and nothing below that.
                let below = directory.strip_prefix(parent).unwrap();
                let first = parent.join(below.components().next().unwrap());
                assert!(first.is_dir() && fs::read_dir(first).unwrap().count() == 0);
                synced.push(parent.to_owned());
                Ok(())
            })
            .unwrap();
            let expected: Vec<PathBuf> = expected
                .iter()
                .map(|name| {
                    place
                        .components()
                        .chain(Path::new(name).components())
                        .collect()
                })
                .collect();
            assert_eq!(synced, expected, "{}", directory.display());
            assert!(directory.is_dir());
        }
    }

    #[test]
    fn a_directory_whose_way_is_not_durable_was_not_made() {
        let place = tempfile::tempdir().unwrap();
        let directory = place.path().join("a/b");
        let mut calls = 0;
        let made = make_with(&directory, &mut |_| {
            calls += 1;
            Err(Error::NoSpace("syncing".into()))
        });
        assert!(matches!(made, Err(Error::NoSpace(_))));
        assert!(calls == 1 && !directory.exists());
    }
}
