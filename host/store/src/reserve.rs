//! Room kept for getting out of a full disk: removing a name writes to SQLite, and without a byte to
//! write nothing could ever be freed. Nor without a file: opening a store creates some.
//!
//! Only what frees space may use it, and opening the store, without which nothing can be freed. It is
//! made again at once, of what is left, and grows as soon as there is room: others may fill the disk
//! again and again. (Leases, which everything takes, have room of their own: see [`crate::lease`].)

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::derived::sum;
use crate::error::Doing as _;
use crate::layout::{Layout, OPENING};
use crate::private::Private;
use crate::sync::lock;
use crate::{Error, regular};

/// Bytes kept: a few hundred pages of write-ahead log, far more than removing a name takes.
const SIZE: u64 = 1 << 20;
/// What is kept where there is not room for all is a multiple of this, in bytes: enough for one
/// removal.
const STEP: u64 = 1 << 16;

const NAME: &str = "reserve";

/// Blocks of this many bytes, or more, are what SQLite counts on.
const BLOCK: u64 = 4096;
/// Bytes that are free before a database is opened where blocks are smaller.
const INDEX_ROOM: u64 = 1 << 16;
const PROBE_NAME: &str = "probe";

/// Empty files kept for a file system that has no more inodes. Opening a store takes one for its owner and
/// two for each of the databases, and writing `index.json` another.
const FILES: usize = 8;
const FILES_NAME: &str = "spare";

/// One at a time in this process: nobody shall find the reserve spent and the room taken.
static SPENDING: Mutex<()> = Mutex::new(());

/// Keeps the room if there is any, or as much of it as there is. A store that is too full for it is
/// used without. Nothing is taken from whoever opens the store just now, who keeps it when that is done.
pub(crate) fn keep(layout: &Layout) {
    keep_in(layout.place());
}

fn keep_in(private: &Private) {
    let Ok(Some(_locked)) = private.try_lock(OPENING) else {
        return;
    };
    keep_room(&private.path(NAME));
    keep_files(&private.path(FILES_NAME));
}

fn keep_files(folder: &Path) {
    let kept = match fs::read_dir(folder) {
        Ok(entries) => entries.take(FILES).count(),
        Err(_) if fs::create_dir(folder).is_ok() => 0,
        Err(_) => return,
    };
    if kept < FILES {
        for number in 0..FILES {
            let path = folder.join(number.to_string());
            let made = regular::options().create(true).append(true).open(path);
            if made.is_err() {
                return;
            }
        }
    }
}

fn keep_room(path: &Path) {
    let kept = fs::metadata(path).map_or(0, |metadata| metadata.len());
    if kept >= SIZE {
        return;
    }
    let Ok(file) = regular::options().create(true).append(true).open(path) else {
        return;
    };
    let sizes = (1..=SIZE / STEP).rev().map(|steps| steps * STEP);
    let has_room = sizes
        .take_while(|size| *size > kept)
        .any(|size| rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size).is_ok());
    if !has_room && kept == 0 {
        // An empty file would pass for room.
        let _ = fs::remove_file(path);
    }
}

/// Does `work`, and again if the disk is full: without what was derived, then with the reserve.
pub(crate) fn spend<T>(
    layout: &Layout,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut work = || work().map_err(|error| judge(layout, error));
    let mut result = work();
    if !matches!(result, Err(Error::NoSpace(_))) {
        return result;
    }
    let _spending = lock(&SPENDING);
    if sum::clear(layout) {
        result = work();
    }
    if matches!(result, Err(Error::NoSpace(_))) && give(layout) {
        result = work();
        keep(layout);
    }
    result
}

/// Gives the room up. False if there was none.
fn give(layout: &Layout) -> bool {
    let mut has_given = give_back(&layout.private(NAME));
    let entries = fs::read_dir(layout.private(FILES_NAME));
    for entry in entries.into_iter().flatten().flatten() {
        has_given |= fs::remove_file(entry.path()).is_ok();
    }
    has_given
}

/// Whether the blocks of the file system are so small that a database has to be [touched](crate::database::touch)
/// once it is open.
///
/// Its shared index is a file in memory. SQLite sees to it that there is one block for every 4 KiB of it: where
/// those are several, the others come when they are written to, and if the disk is full by then, the system
/// ends the process. So all are written to while there is room.
///
/// [`Error::NoSpace`] if there is not.
pub(crate) fn has_small_blocks(layout: &Layout) -> Result<bool, Error> {
    let Ok(found) = rustix::fs::statvfs(layout.place().path("")) else {
        return Ok(false);
    };
    if !(1..BLOCK).contains(&found.f_frsize) {
        return Ok(false);
    }
    probe(&layout.private(PROBE_NAME))?;
    Ok(true)
}

/// Whether there is room for a database's index. It is taken for a moment, because what a file system says is
/// free is not all to be had: some of it is kept for root, and on ext4 some for nobody.
fn probe(path: &Path) -> Result<(), Error> {
    let doing = || "making room for a database";
    let file = regular::options()
        .create(true)
        .append(true)
        .open(path)
        .doing(doing)?;
    let taken = rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, INDEX_ROOM);
    give_back(path);
    match taken {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        taken => taken.doing(doing),
    }
}

/// Removes a file so that its blocks are free on return: on ext4 they are only once the journal has it. False
/// if there was none.
fn give_back(path: &Path) -> bool {
    if let Ok(file) = regular::options().write(true).open(path) {
        let _ = file.set_len(0).and_then(|()| file.sync_all());
    }
    fs::remove_file(path).is_ok()
}

/// The cause of an error of which SQLite says nothing else than that it cannot open a file: there are no more
/// inodes, or no file can be opened at all.
fn judge(layout: &Layout, error: Error) -> Error {
    match &error {
        Error::Database(rusqlite::Error::SqliteFailure(failure, _))
            if failure.code == rusqlite::ErrorCode::CannotOpen => {}
        _ => return error,
    }
    let folder = layout.place().path("");
    // Some file systems count none.
    if rustix::fs::statvfs(&folder).is_ok_and(|found| found.f_files > 0 && found.f_favail == 0) {
        return Error::NoSpace("no more files can be created in it (it has no inodes left)".into());
    }
    // SQLite needs several files at once.
    let opened: std::io::Result<Vec<_>> = (0..4).map(|_| std::fs::File::open(&folder)).collect();
    match opened {
        Ok(_) => error,
        Err(source) => Error::io("opening the store's database", source),
    }
}

/// Keeps the room when it is dropped: what closing a store gives back.
pub(crate) struct KeepOnDrop(Private);

impl KeepOnDrop {
    pub(crate) fn new(layout: &Layout) -> KeepOnDrop {
        KeepOnDrop(layout.place().clone())
    }
}

impl Drop for KeepOnDrop {
    fn drop(&mut self) {
        // The store may be gone altogether.
        if self.0.path("").is_dir() {
            keep_in(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn full() -> Error {
        Error::NoSpace("writing".into())
    }

    #[test]
    fn it_is_spent_on_a_full_disk_only_and_made_again_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, _) = Layout::open(directory.path(), &crate::Options::default()).unwrap();
        let path = layout.private(NAME);
        let is_kept = || fs::metadata(&path).is_ok_and(|metadata| metadata.len() == SIZE);
        keep(&layout);
        assert!(is_kept());
        let mut tries = 0;
        let failed = spend(&layout, || {
            tries += 1;
            Err::<(), _>(Error::Conflict("other".into()))
        });
        assert!(matches!(failed, Err(Error::Conflict(_))));
        assert_eq!(tries, 1);
        spend(&layout, || if path.exists() { Err(full()) } else { Ok(()) }).unwrap();
        assert!(is_kept());
    }

    #[test]
    fn nothing_is_taken_from_whoever_opens_the_store() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, _) = Layout::open(directory.path(), &crate::Options::default()).unwrap();
        let opening = layout.lock(OPENING).unwrap();
        keep(&layout);
        assert!(!layout.private(NAME).exists());
        drop(opening);
        keep(&layout);
        assert!(layout.private(NAME).exists());
    }

    #[test]
    fn a_smaller_reserve_grows() {
        let directory = tempfile::tempdir().unwrap();
        let (layout, _) = Layout::open(directory.path(), &crate::Options::default()).unwrap();
        fs::write(layout.private(NAME), [0; 100]).unwrap();
        keep(&layout);
        assert_eq!(fs::metadata(layout.private(NAME)).unwrap().len(), SIZE);
    }
}
