//! Who holds a lock, for people who wait for it: what `/proc` says.

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// First and last byte of a record lock; `None` is the end of the file, wherever that is.
type Range = (u64, Option<u64>);

/// Longest command shown, in characters.
const MAX_COMMAND: usize = 120;
/// How often `/proc/locks` is read: the kernel shows it page by page and counts lines, so that one is
/// skipped when another before it goes meanwhile.
const LOOKS: u32 = 5;
/// Largest `/proc/locks` read, in bytes: thousands of locks.
const MAX_LOCKS: u64 = 1 << 20;

/// The holder of the `flock` of an open file.
pub(crate) fn of(file: &File) -> String {
    find(file.metadata(), |kind, _| kind == "FLOCK")
}

/// The holder of the record lock of the byte `at`. The file is not opened: closing it would give up
/// this process's own locks.
pub(crate) fn of_byte(path: &Path, at: u64) -> String {
    find(fs::metadata(path), |kind, range| {
        kind == "POSIX" && range.0 <= at && range.1.is_none_or(|end| at <= end)
    })
}

fn find(metadata: io::Result<Metadata>, is_it: impl Fn(&str, Range) -> bool) -> String {
    let found = metadata.ok().and_then(|metadata| {
        (0..LOOKS).find_map(|_| holder(&locks().ok()?, metadata.ino(), &is_it))
    });
    found.map_or_else(|| "another process".to_owned(), describe)
}

fn locks() -> io::Result<String> {
    let mut locks = String::new();
    let file = File::open("/proc/locks")?;
    file.take(MAX_LOCKS).read_to_string(&mut locks)?;
    Ok(locks)
}

/// Finds the process in what `/proc/locks` says:
/// `1: FLOCK  ADVISORY  WRITE 123 fd:01:4567 0 EOF`, and `1: -> …` for one that waits.
///
/// Only the inode is compared: the device is another one than `stat` says on some file systems.
fn holder(locks: &str, inode: u64, is_it: &impl Fn(&str, Range) -> bool) -> Option<u32> {
    locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let &[_, kind, _, "WRITE", process, place, from, to] = fields.as_slice() else {
            return None;
        };
        let (_, found) = place.rsplit_once(':')?;
        let range = (from.parse().ok()?, to.parse().ok());
        (found.parse() == Ok(inode) && is_it(kind, range))
            .then(|| process.parse().ok())
            .flatten()
    })
}

/// A process, with its command.
pub(crate) fn describe(process: u32) -> String {
    let command = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    let command: String = String::from_utf8_lossy(&command)
        .trim_end_matches('\0')
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_COMMAND)
        .collect();
    if command.is_empty() {
        return format!("process {process}");
    }
    format!("process {process} ({command})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_is_found_among_locks_of_all_kinds() {
        let locks = "1: POSIX  ADVISORY  READ  11 fd:01:4567 123 123\n\
                     2: FLOCK  ADVISORY  WRITE 12 fd:01:4568 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fd:01:4567 0 EOF\n\
                     3: POSIX  ADVISORY  WRITE 14 fd:01:4567 120 121\n\
                     4: FLOCK  ADVISORY  WRITE 15 00:2a:4567 0 EOF\n\
                     5: what is this\n";
        let flock = |inode| holder(locks, inode, &|kind: &str, _| kind == "FLOCK");
        assert_eq!(flock(4567), Some(15));
        assert_eq!(flock(4568), Some(12));
        assert_eq!(flock(1), None);
        let byte = |at| {
            holder(locks, 4567, &|kind: &str, (from, to): Range| {
                kind == "POSIX" && from <= at && to.is_none_or(|to| at <= to)
            })
        };
        assert_eq!(byte(121), Some(14));
        assert_eq!(byte(122), None);
    }

    #[test]
    fn a_process_is_described_by_its_command() {
        let own = describe(std::process::id());
        assert!(
            own.starts_with(&format!("process {} (", std::process::id())),
            "{own}"
        );
    }
}
