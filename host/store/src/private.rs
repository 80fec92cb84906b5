//! `.strata`: the folder of what a layout has no place for, and its locks.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::Doing as _;
use crate::{Error, owner, regular};

/// The folder, and how long to wait for a lock in it.
#[derive(Clone)]
pub(crate) struct Private {
    folder: PathBuf,
    lock_timeout: Duration,
}

impl Private {
    /// The folder in the layout at `root`.
    pub(crate) fn new(root: &Path, lock_timeout: Duration) -> Private {
        Private {
            folder: root.join(".strata"),
            lock_timeout,
        }
    }

    /// A file or folder in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// One locked file per process that uses the store.
    pub(crate) fn owners(&self) -> PathBuf {
        self.path("owners")
    }

    /// What is broken and was moved away.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.path("quarantine")
    }

    /// Waits for the lock `name` among all processes, though not for ever. It is held as long as the
    /// file is open.
    pub(crate) fn lock(&self, name: &str) -> Result<File, Error> {
        let (file, path) = self.lockable(name)?;
        owner::wait_lock(&file, &path, self.lock_timeout)?;
        Ok(file)
    }

    /// The lock `name`, or none if somebody has it, be it this process.
    pub(crate) fn try_lock(&self, name: &str) -> Result<Option<File>, Error> {
        let (file, path) = self.lockable(name)?;
        let is_locked = owner::try_lock(&file).doing(|| format!("locking {}", path.display()))?;
        Ok(is_locked.then_some(file))
    }

    fn lockable(&self, name: &str) -> Result<(File, PathBuf), Error> {
        let path = self.path(name);
        let file = regular::options()
            .create(true)
            .append(true)
            .open(&path)
            .doing(|| format!("opening {}", path.display()))?;
        Ok((file, path))
    }
}
