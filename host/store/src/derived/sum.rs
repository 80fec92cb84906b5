//! How much derived data there is, and what of it goes.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::file::{BLOCK, NOTED, TEMPORARY, kinds};
use crate::layout::Layout;
use crate::regular;

/// Bytes on disk of all data together. Lists of files shrink to a tenth, so that is hundreds of
/// images; what does not fit is only derived again.
const MOST: u64 = 256 << 20;
/// What is kept of that when it is too much, so that not every addition has to look.
const KEPT: u64 = MOST / 4 * 3;
/// Bytes a process adds between two looks at the sum, which other processes add to as well.
const LOOK_EVERY: u64 = 1 << 20;

/// What this process has added since it last looked at the sum.
pub(super) struct Sum {
    added: AtomicU64,
    looking: Mutex<()>,
}

impl Default for Sum {
    fn default() -> Sum {
        Sum {
            // A process that adds little need not look; one that lives longer soon does.
            added: AtomicU64::new(LOOK_EVERY / 8 * 7),
            looking: Mutex::default(),
        }
    }
}

impl Sum {
    /// Sees to the sum after `size` bytes were added.
    pub(super) fn add(&self, layout: &Layout, size: u64) {
        if self.added.fetch_add(size, Ordering::Relaxed) + size < LOOK_EVERY {
            return;
        }
        // Who comes meanwhile need not look as well.
        let Ok(_looking) = self.looking.try_lock() else {
            return;
        };
        self.added.store(0, Ordering::Relaxed);
        shrink(layout, MOST, KEPT);
    }
}

/// Removes everything, to make room for what cannot be derived. False if there was nothing.
pub(crate) fn clear(layout: &Layout) -> bool {
    shrink(layout, 0, 0)
}

/// If there are more than `most` bytes, removes the least recently used until `kept` are left. False
/// if nothing had to go.
fn shrink(layout: &Layout, most: u64, kept: u64) -> bool {
    let now = SystemTime::now();
    let mut entries = Vec::new();
    let mut sum = 0;
    for file in kinds(layout)
        .filter_map(|kind| fs::read_dir(kind).ok())
        .flatten()
        .flatten()
    {
        let Ok(metadata) = file.metadata() else {
            continue;
        };
        let used = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let is_temporary = file
            .file_name()
            .as_encoded_bytes()
            .starts_with(TEMPORARY.as_bytes());
        if is_temporary {
            if now.duration_since(used).is_ok_and(|since| since > NOTED) {
                // Of a process that was killed.
                let _ = fs::remove_file(file.path());
            }
            continue;
        }
        let size = metadata.len().max(BLOCK);
        sum += size;
        entries.push((used, size, file.path()));
    }
    if sum <= most {
        return false;
    }
    entries.sort();
    for (_, size, path) in entries {
        if sum <= kept {
            break;
        }
        let _ = regular::clear(&path);
        sum -= size;
    }
    true
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs::File;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_least_recently_used_goes_first_and_enough_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, _) = Layout::open(directory.path(), &crate::Options::default()).unwrap();
        let folder = layout.derived().join("kind");
        fs::create_dir_all(&folder).unwrap();
        for age in 0..10 {
            let file = File::create(folder.join(format!("{age}"))).unwrap();
            file.set_len(BLOCK).unwrap();
            let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age);
            file.set_modified(used).unwrap();
        }
        let left = || {
            let mut names: Vec<_> = fs::read_dir(&folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names.concat()
        };
        assert!(!shrink(&layout, 10 * BLOCK, 5 * BLOCK));
        assert_eq!(left(), "0123456789");
        assert!(shrink(&layout, 9 * BLOCK, 4 * BLOCK));
        assert_eq!(left(), "0123");
        assert!(clear(&layout));
        assert_eq!(left(), "");
        assert!(!clear(&layout));
    }
}
