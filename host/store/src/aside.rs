//! Broken files that are moved out of the way, for people to look at and to delete.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::error::Doing as _;
use crate::private::Private;
use crate::{Error, directory};

/// What SQLite keeps beside a database.
pub(crate) const BESIDE_DATABASE: [&str; 2] = ["-wal", "-shm"];

/// Whether something is there that is neither a file nor a link to one: opening it may fail for ever,
/// or wait for ever.
pub(crate) fn is_odd(path: &Path) -> bool {
    match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => false,
        Ok(_) => !fs::metadata(path).is_ok_and(|metadata| metadata.is_file()),
        Err(_) => false,
    }
}

/// Reads a file of at most `limit` bytes, and what is over it is cut one byte later; `None` if it is
/// not here. Does not wait for a pipe.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not a file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Whether what [`read`] failed with is due to what is there, and stays so.
pub(crate) fn is_unreadable(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    error.kind() == io::ErrorKind::InvalidData
        || matches!(
            errno,
            // The second is a socket, or a device without a driver.
            Some(Errno::LOOP | Errno::NXIO | Errno::ACCESS | Errno::IO | Errno::NODEV)
        )
}

/// Whether a database, or what SQLite keeps beside it, is no file.
pub(crate) fn is_odd_database(path: &Path) -> bool {
    is_odd(path) || BESIDE_DATABASE.iter().any(|end| is_odd(&beside(path, end)))
}

/// The file beside a database whose name ends in `end`.
pub(crate) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Moves what is at `path`, and beside it with the ends `ends`, into quarantine, durably, and returns
/// where it is now. Its new name says what it was and when it was moved.
pub(crate) fn set_aside(private: &Private, path: &Path, ends: &[&str]) -> Result<PathBuf, Error> {
    let target = free_name(private, path)?;
    set_aside_as(private, path, ends, &target)?;
    Ok(target)
}

/// [`set_aside`] to a [free name](free_name).
pub(crate) fn set_aside_as(
    private: &Private,
    path: &Path,
    ends: &[&str],
    target: &Path,
) -> Result<(), Error> {
    for end in [""].iter().chain(ends) {
        let from = beside(path, end);
        match fs::rename(&from, beside(target, end)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result.doing(|| {
                format!(
                    "moving the broken {} to {}; move it away",
                    from.display(),
                    target.display()
                )
            })?,
        }
    }
    directory::sync(&private.quarantine())?;
    if let Some(parent) = path.parent() {
        directory::sync(parent)?;
    }
    Ok(())
}

/// A name in quarantine for what is at `path` that nothing has yet.
pub(crate) fn free_name(private: &Private, path: &Path) -> Result<PathBuf, Error> {
    let folder = private.quarantine();
    if !folder.is_dir() && fs::symlink_metadata(&folder).is_ok() {
        return Err(directory::not_a_folder(&folder));
    }
    directory::make(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = format!("{name}.broken-{}", now());
    let taken = |path: &Path| fs::symlink_metadata(path).is_ok();
    let mut target = folder.join(&name);
    for number in 2_u32.. {
        if !taken(&target) {
            break;
        }
        target = folder.join(format!("{name}-{number}"));
    }
    Ok(target)
}

/// The time in UTC, as ISO 8601 writes it without separators.
fn now() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    timestamp(seconds)
}

/// Days are counted from the first of March of a leap year's cycle, so that leap days come last.
fn timestamp(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let march = (5 * day + 2) / 153;
    let date = day - (153 * march + 2) / 5 + 1;
    let month = if march < 10 { march + 3 } else { march - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (time / 3_600, time / 60 % 60, time % 60);
    format!("{year:04}{month:02}{date:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "19700101T000000Z"),
            (951_782_399, "20000228T235959Z"),
            (951_782_400, "20000229T000000Z"),
            (1_709_251_200, "20240301T000000Z"),
            (1_798_761_599, "20261231T235959Z"),
        ] {
            assert_eq!(timestamp(seconds), text);
        }
    }
}
