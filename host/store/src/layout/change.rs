//! Putting blobs in their places, and taking them away.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};
use rustix::io::Errno;

use super::{Layout, Place};
use crate::directory::make;
use crate::error::Doing as _;
use crate::{Digest, Error, trash};

/// What of one blob's place is kept in one folder at most; nobody looks at more.
const MAX_NAMESAKES: usize = 1000;

/// What became of a blob that was to be removed.
pub(crate) enum Removed {
    /// Nothing: it was not here.
    Absent,
    /// It is gone, and had so many bytes.
    Gone(u64),
    /// What was in its place, with more in it, is in the [`trash`](Layout::trash).
    Trashed,
    /// What is in its place is no file, and cannot be removed either.
    Stays(Error),
}

impl Layout {
    /// Makes a complete, synced file visible as a blob, durably. What is in its place and is no file goes
    /// to [`quarantine`](Layout::quarantine).
    pub(crate) fn publish(&self, file: &Path, digest: &Digest) -> Result<(), Error> {
        let doing = || format!("publishing {digest}");
        let parent = self.folder(digest.algorithm());
        if self.directory(digest.algorithm())?.is_none() {
            make(&parent)?;
        }
        let target = parent.join(digest.encoded());
        match fs::rename(file, &target) {
            // A directory is the one thing no file takes the place of.
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                // An empty one is nobody's loss.
                if fs::remove_dir(&target).is_err() {
                    make(&self.quarantine())?;
                    self.move_blob(digest, &room_for(&self.quarantine(), digest, true))?;
                }
                fs::rename(file, &target).doing(doing)?;
            }
            result => result.doing(doing)?,
        }
        self.sync(digest.algorithm())
    }

    /// Removes a blob. Durable after [`sync`].
    /// One smaller than `small` bytes only goes to the [`trash`]; a larger one is pushed to `held`
    /// while there is room, for the space to be given back when it is dropped.
    ///
    /// [`sync`]: Layout::sync
    /// [`trash`]: Layout::trash
    pub(crate) fn remove_blob(
        &self,
        digest: &Digest,
        small: u64,
        held: &mut Vec<File>,
    ) -> Result<Removed, Error> {
        let Some(directory) = self.directory(digest.algorithm())? else {
            return Ok(Removed::Absent);
        };
        let size = match self.look(digest)? {
            Place::Absent => return Ok(Removed::Absent),
            Place::Broken(_) => return Ok(self.remove_broken(digest)),
            Place::File(stamp) => stamp.size,
        };
        if size < small {
            let target = self.trash().join(file_name(digest));
            if rustix::fs::renameat(directory, digest.encoded(), CWD, &target).is_ok() {
                return Ok(Removed::Gone(size));
            }
            // For example as the disk is full, and the trash would have to grow.
        }
        if size >= trash::LARGE && held.len() < trash::HELD {
            // If it cannot be opened the caller waits, and that is all.
            held.extend(self.open_blob(digest).ok().map(|(file, _)| file));
        }
        match rustix::fs::unlinkat(directory, digest.encoded(), AtFlags::empty()) {
            Ok(()) => Ok(Removed::Gone(size)),
            Err(Errno::NOENT) => Ok(Removed::Absent),
            Err(error) => Err(Error::io(format!("removing {digest}"), error.into())),
        }
    }

    /// Removes what cannot be read. That it cannot be removed keeps nobody from removing other blobs.
    fn remove_broken(&self, digest: &Digest) -> Removed {
        let path = self.blob_path(digest);
        let failed = match fs::remove_file(&path).or_else(|_| fs::remove_dir(&path)) {
            Ok(()) => return Removed::Gone(0),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Removed::Absent,
            Err(error) => error,
        };
        // Emptying a directory may take long.
        match self.move_blob(digest, &room_for(&self.trash(), digest, true)) {
            Ok(()) => Removed::Trashed,
            Err(_) => Removed::Stays(Error::io(format!("removing {digest}"), failed)),
        }
    }

    /// Moves what is in a blob's place to `target`. Durable after [`sync`](Layout::sync).
    pub(crate) fn move_blob(&self, digest: &Digest, target: &Path) -> Result<(), Error> {
        fs::rename(self.blob_path(digest), target).doing(|| format!("moving {digest}"))
    }

    /// What is in a blob's place itself: of a symbolic link not where it leads.
    pub(crate) fn own_metadata(&self, digest: &Digest) -> Option<Metadata> {
        fs::symlink_metadata(self.blob_path(digest)).ok()
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder(digest.algorithm()).join(digest.encoded())
    }
}

/// Where in `folder` something can be moved from a blob's place. A file replaces an earlier one; a directory
/// replaces nothing.
pub(crate) fn room_for(folder: &Path, digest: &Digest, is_directory: bool) -> PathBuf {
    let name = file_name(digest);
    let numbered = (1..MAX_NAMESAKES).map(|number| folder.join(format!("{name}-{number}")));
    std::iter::once(folder.join(&name))
        .chain(numbered)
        .find(|path| match fs::symlink_metadata(path) {
            Ok(found) => !is_directory && !found.is_dir(),
            Err(_) => true,
        })
        .unwrap_or_else(|| folder.join(name))
}

fn file_name(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().as_str(), digest.encoded())
}
