//! `.strata`: the folder of what a layout has no place for, and its locks.

use std::fs::{self, File};
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
        let path = self.path(name);
        loop {
            let file = self.lockable(&path)?;
            owner::wait_lock(&file, &path, self.lock_timeout)?;
            // Who came later would lock another file.
            if owner::is_still(&file, &path) {
                return Ok(file);
            }
        }
    }

    /// The lock `name`, or none if somebody has it, be it this process.
    pub(crate) fn try_lock(&self, name: &str) -> Result<Option<File>, Error> {
        let path = self.path(name);
        loop {
            let file = self.lockable(&path)?;
            if !owner::try_lock(&file).doing(|| format!("locking {}", path.display()))? {
                return Ok(None);
            }
            if owner::is_still(&file, &path) {
                return Ok(Some(file));
            }
        }
    }

    /// Opens the file of a lock, and makes it first if there is none.
    fn lockable(&self, path: &Path) -> Result<File, Error> {
        let doing = || format!("opening {}", path.display());
        match regular::open_or_create(path) {
            Ok(Some(file)) => return Ok(file),
            Ok(None) => self.clear_lock(path)?,
            Err(error) => return Err(error).doing(doing),
        }
        // Nobody puts anything but a file there in good faith.
        match regular::open_or_create(path) {
            Ok(Some(file)) => Ok(file),
            Ok(None) => Err(Error::Locked(format!(
                "{} is no file, and was put there again when it was removed",
                path.display()
            ))),
            Err(error) => Err(error).doing(doing),
        }
    }

    /// Removes what is no file in the place of a lock: nobody can hold that. One at a time looks and removes,
    /// so that what another has made anew, and may hold, stays.
    fn clear_lock(&self, path: &Path) -> Result<(), Error> {
        let folder =
            File::open(&self.folder).doing(|| format!("opening {}", self.folder.display()))?;
        owner::wait_lock(&folder, &self.folder, self.lock_timeout)?;
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => {
                tracing::warn!("{} was no file and is made anew", path.display());
                regular::clear(path)
                    .doing(|| format!("removing {}, which is no file; remove it", path.display()))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicBool, Ordering};

    use rustix::fs::{CWD, Mode};

    use super::*;

    /// Tries, so many that who removes what another has made is found out.
    const ROUNDS: usize = 200;
    const THREADS: usize = 4;

    #[test]
    fn who_finds_no_file_in_a_locks_place_ends_up_with_the_lock_of_all() {
        let folder = tempfile::tempdir().unwrap();
        let private = Private::new(folder.path(), Duration::from_secs(60));
        fs::create_dir(private.path("")).unwrap();
        let path = private.path("x.lock");
        let (barrier, is_held) = (Barrier::new(THREADS), AtomicBool::new(false));
        for round in 0..ROUNDS {
            let _ = regular::clear(&path);
            match round % 3 {
                0 => symlink("nothing", &path).unwrap(),
                1 => rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o644)).unwrap(),
                _ => fs::create_dir_all(path.join("x")).unwrap(),
            }
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let (private, barrier, is_held) = (&private, &barrier, &is_held);
                    scope.spawn(move || {
                        barrier.wait();
                        let locked = match thread {
                            0 => private.try_lock("x.lock").unwrap(),
                            _ => Some(private.lock("x.lock").unwrap()),
                        };
                        if let Some(locked) = locked {
                            assert!(!is_held.swap(true, Ordering::SeqCst), "{round}");
                            std::thread::yield_now();
                            is_held.store(false, Ordering::SeqCst);
                            drop(locked);
                        }
                    });
                }
            });
            assert!(fs::symlink_metadata(&path).unwrap().is_file());
        }
        assert!(!private.path("nothing").exists());
    }

    #[test]
    fn a_lock_that_went_while_it_was_waited_for_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let private = Private::new(folder.path(), Duration::from_secs(60));
        fs::create_dir(private.path("")).unwrap();
        let path = private.path("waited.lock");
        let first = private.lock("waited.lock").unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| private.lock("waited.lock").unwrap());
            // Until it has opened the file as well.
            let opened = |entry: &fs::DirEntry| {
                fs::read_link(entry.path()).is_ok_and(|it| it.ends_with("waited.lock"))
            };
            let count = || {
                fs::read_dir("/proc/self/fd")
                    .unwrap()
                    .flatten()
                    .filter(opened)
                    .count()
            };
            while count() < 2 {
                std::thread::yield_now();
            }
            fs::remove_file(&path).unwrap();
            drop(first);
            let second = second.join().unwrap();
            assert!(owner::is_still(&second, &path));
            assert!(private.try_lock("waited.lock").unwrap().is_none());
        });
    }
}
