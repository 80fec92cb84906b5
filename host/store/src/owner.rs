//! Who uses a store: one locked file per open store, so that the kernel tells who died.
//!
//! A process that is killed cannot clean up, but its file locks go with it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::FlockOperation;

use crate::error::Doing as _;
use crate::{Error, holder, regular};

/// Longest pause between two attempts: nobody notices, and it costs nothing.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// This user of a store. Dropping it gives up all it owned.
pub(crate) struct Owner {
    id: String,
    path: PathBuf,
    _locked: File,
}

impl Owner {
    /// Registers in `directory`.
    pub(crate) fn register(directory: &Path) -> Result<Owner, Error> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        loop {
            let time = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |t| t.as_nanos());
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let id = format!("{}-{time:x}-{count}", std::process::id());
            let path = directory.join(&id);
            let doing = || format!("registering in {}", directory.display());
            let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(Error::io(doing(), error)),
            };
            // Between creation and lock another process may have taken the file for a dead one's.
            if try_lock(&file).doing(doing)? && is_still(&file, &path) {
                return Ok(Owner {
                    id,
                    path,
                    _locked: file,
                });
            }
        }
    }

    /// Unique among all users this store ever had.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Proof that an owner is gone. Dropping it removes the owner's file.
pub(crate) struct Dead {
    path: PathBuf,
    _locked: Option<File>,
}

impl Drop for Dead {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Tells whether the owner `id` is gone.
pub(crate) fn find_dead(directory: &Path, id: &str) -> Option<Dead> {
    let path = directory.join(id);
    match regular::options().read(true).open(&path) {
        Ok(file) => match try_lock(&file) {
            Ok(true) => Some(Dead {
                path,
                _locked: Some(file),
            }),
            // In doubt it lives: a lease too many only keeps content for longer.
            _ => None,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Dead {
            path,
            _locked: None,
        }),
        Err(_) => None,
    }
}

/// Every owner that lives, but this one.
pub(crate) fn living(directory: &Path, except: &str) -> Result<Vec<String>, Error> {
    let doing = || format!("reading {}", directory.display());
    let mut living = Vec::new();
    for entry in fs::read_dir(directory).doing(doing)? {
        let Ok(id) = entry.doing(doing)?.file_name().into_string() else {
            continue;
        };
        // What has another name is not an owner's.
        let is_id = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if is_id && id != except && find_dead(directory, &id).is_none() {
            living.push(id);
        }
    }
    Ok(living)
}

/// The owner `id` as people know it.
pub(crate) fn describe(id: &str) -> String {
    match id.split('-').next().map(str::parse) {
        Some(Ok(process)) => holder::describe(process),
        _ => format!("owner {id}"),
    }
}

/// Creates a file with its lock held, so that nobody clears it away as a dead process's.
pub(crate) fn create_locked(path: &Path) -> io::Result<File> {
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(path)?;
        // It may be taken for a dead process's before it is locked.
        if try_lock(&file)? && is_still(&file, path) {
            return Ok(file);
        }
    }
}

/// Takes the one lock of an open file. False if somebody else has it.
pub(crate) fn try_lock(file: &File) -> rustix::io::Result<bool> {
    match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits for the one lock of an open file, for at most `time`.
pub(crate) fn wait_lock(file: &File, path: &Path, time: Duration) -> Result<(), Error> {
    let doing = || format!("locking {}", path.display());
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    while !try_lock(file).doing(doing)? {
        if start.elapsed() >= time {
            return Err(Error::Locked(format!(
                "{} is held by {} for more than {time:?}",
                path.display(),
                holder::of(file),
            )));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LOCK_PAUSE);
    }
    Ok(())
}

/// Whether `path` still is the file that was opened, and not its successor.
pub(crate) fn is_still(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(ours), Ok(theirs)) => (ours.dev(), ours.ino()) == (theirs.dev(), theirs.ino()),
        _ => false,
    }
}
