//! Removed blobs on their way out.
//!
//! Unlinking a file that is on the disk makes the caller wait for its inode to be freed: some
//! 0.3 ms on ext4, seconds for the thousands of manifests and configs of a large prune. Renaming
//! costs a tenth. So of many blobs the small ones are renamed into `.strata/trash`, and unlinked by
//! threads of their own. Large ones, which are the space people want back, are unlinked at once, but
//! held open: giving back a gigabyte takes ext4 a second, and so it is the thread that closes them
//! which waits for that.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::JoinHandle;

use crate::layout::Layout;
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
    /// Unlinks everything in the trash, also what a killed process left. Does not wait for it.
    pub(crate) fn empty(&self, layout: &Layout) {
        let Ok(entries) = fs::read_dir(layout.trash()) else {
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
                        let _ = fs::remove_file(file);
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

    /// Waits until all is unlinked and its space given back.
    pub(crate) fn wait(&self) {
        let reapers = std::mem::take(&mut *lock(&self.reapers));
        for reaper in reapers {
            let _ = reaper.join();
        }
    }
}
