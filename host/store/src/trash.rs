//! Removed blobs on their way out.
//!
//! Unlinking a file that is on the disk makes the caller wait for its inode to be freed: some
//! 0.3 ms on ext4, seconds for the thousands of manifests and configs of a large prune. Renaming
//! costs a tenth. So of many blobs the small ones are renamed into `.strata/trash`, and unlinked by
//! threads of their own. Large ones, which are the space people want back, are unlinked at once, but
//! held open: giving back a gigabyte takes ext4 a second, and so it is the thread that closes them
//! which waits for that.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::thread::JoinHandle;

use crate::Error;
use crate::sync::lock;

/// Removals up to this many are not worth the detour.
pub(crate) const FEW: usize = 64;
/// Blobs of at least this many bytes are unlinked at once.
pub(crate) const LARGE: u64 = 1024 * 1024;
/// Removed blobs held open at the same time; of more, the caller waits for the space.
pub(crate) const HELD: usize = 256;
/// Threads that unlink. They wait rather than compute.
const REAPERS: usize = 4;

#[derive(Default)]
pub(crate) struct Trash {
    reapers: Mutex<Vec<JoinHandle<()>>>,
}

impl Trash {
    /// Unlinks everything in `folder`, also what a killed process left. Does not wait for it.
    pub(crate) fn empty(&self, folder: &Path) {
        let Ok(entries) = fs::read_dir(folder) else {
            return;
        };
        let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let mut reapers = lock(&self.reapers);
        reapers.retain(|reaper| !reaper.is_finished());
        for part in files.chunks(files.len().div_ceil(REAPERS).max(FEW)) {
            let part = part.to_vec();
            let reaper = std::thread::Builder::new()
                .name("strata-reap".into())
                .spawn(move || {
                    for file in part {
                        // Another process may have been quicker; what fails is tried at the next open.
                        let _ = fs::remove_file(&file).or_else(|_| fs::remove_dir_all(&file));
                    }
                });
            reapers.extend(reaper);
        }
    }

    /// Closes removed blobs, which gives back their space. Does not wait for it.
    pub(crate) fn close(&self, removed: Vec<File>) {
        if removed.is_empty() {
            return;
        }
        let reaper = std::thread::Builder::new()
            .name("strata-reap".into())
            .spawn(move || drop(removed));
        let mut reapers = lock(&self.reapers);
        reapers.retain(|reaper| !reaper.is_finished());
        // Without a thread they were closed right here.
        reapers.extend(reaper);
    }

    /// Waits until all is unlinked and its space given back. So does who asks meanwhile.
    pub(crate) fn wait(&self) {
        for reaper in lock(&self.reapers).drain(..) {
            let _ = reaper.join();
        }
    }

    /// Does `work`, and again if the disk was full: what was removed may still be on its way out.
    /// If that is not enough, `give_up` may give up what nobody needs; true if there was any.
    pub(crate) fn make_room<T>(
        &self,
        give_up: impl FnOnce() -> bool,
        mut work: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut result = work();
        if let Err(Error::NoSpace(_)) = result {
            self.wait();
            result = work();
        }
        match result {
            Err(Error::NoSpace(_)) if give_up() => work(),
            result => result,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};

    use super::*;

    fn full() -> Error {
        Error::NoSpace("writing".into())
    }

    #[test]
    fn a_full_disk_waits_for_what_is_on_its_way_out_and_tries_once_more() {
        let trash = Trash::default();
        let (start, started) = mpsc::channel::<()>();
        let is_gone = Arc::new(AtomicBool::new(false));
        let reaper = {
            let is_gone = is_gone.clone();
            std::thread::spawn(move || {
                started.recv().unwrap();
                // Gives whoever does not wait every chance to be first.
                (0..10_000).for_each(|_| std::thread::yield_now());
                is_gone.store(true, Ordering::SeqCst);
            })
        };
        lock(&trash.reapers).push(reaper);
        let mut tries = 0;
        let give_up = || panic!("that was enough");
        let done = trash.make_room(give_up, || {
            tries += 1;
            if is_gone.load(Ordering::SeqCst) {
                return Ok(());
            }
            start.send(()).unwrap();
            Err(full())
        });
        assert!(done.is_ok());
        assert_eq!(tries, 2);
    }

    #[test]
    fn a_disk_that_stays_full_is_said_to_be_and_other_errors_are_not_tried_again() {
        let trash = Trash::default();
        let other = || Error::Conflict("other".into());
        for (error, gives, tries) in [
            (full as fn() -> Error, false, 2),
            (full, true, 3),
            (other, true, 1),
        ] {
            let mut tried = 0;
            let failed = trash.make_room(
                || gives,
                || {
                    tried += 1;
                    Err::<(), _>(error())
                },
            );
            assert_eq!(failed.unwrap_err().to_string(), error().to_string());
            assert_eq!(tried, tries);
        }
    }
}
