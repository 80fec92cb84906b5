//! Room kept for getting out of a full disk: removing a name or taking a lock writes to SQLite, and
//! without a byte to write nothing could ever be freed.

use std::fs::{self, File};

use rustix::fs::FallocateFlags;

use crate::Error;
use crate::layout::Layout;

/// Bytes kept: a few hundred pages of write-ahead log, far more than removing a name takes.
const SIZE: u64 = 1 << 20;

const NAME: &str = "reserve";

/// Keeps the room if there is any. A store that is too full for it is used without.
pub(crate) fn keep(layout: &Layout) {
    let path = layout.private(NAME);
    if path.exists() {
        return;
    }
    let kept = File::create(&path).and_then(|file| {
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, SIZE)?;
        Ok(())
    });
    if kept.is_err() {
        // An empty file would pass for room.
        let _ = fs::remove_file(&path);
    }
}

/// Does `work`, once more with the reserve freed if the disk is full.
pub(crate) fn spend<T>(
    layout: &Layout,
    mut work: impl FnMut() -> Result<T, Error>,
) -> Result<T, Error> {
    match work() {
        Err(Error::NoSpace(_)) if fs::remove_file(layout.private(NAME)).is_ok() => work(),
        other => other,
    }
}
