//! Opening files of the store that may be something else by now: a pipe would keep whoever opens it
//! waiting for ever.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// How such files are opened: they make nobody wait, and no terminal becomes this process's own.
pub(crate) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY));
    options
}

/// Opens what is a file, and no link to one, for reading.
pub(crate) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    let mut options = OpenOptions::new();
    options.custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW));
    let file = options.read(true).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    Ok((file, metadata))
}

/// Opens a file, and no link to one, to lock it or to append to it, and creates it if nothing is there. `None` if
/// something else is.
pub(crate) fn open_or_create(path: &Path) -> io::Result<Option<File>> {
    let mut options = OpenOptions::new();
    options.custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::NOFOLLOW));
    match options.create(true).append(true).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Ok(None),
        // A folder, a link, a pipe or socket, a device.
        Err(error) => match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::ISDIR | Errno::LOOP | Errno::NXIO | Errno::NODEV) => Ok(None),
            _ => Err(error),
        },
    }
}

/// Removes whatever is there, with all that is in it. For places in which only this crate keeps anything.
pub(crate) fn clear(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => fs::remove_dir_all(path),
        result => result,
    }
}

/// Removes what is there if it is neither a file nor, if `folder`, a folder. Whether there is nothing
/// in the way then.
pub(crate) fn clear_other(path: &Path, folder: bool) -> bool {
    match fs::symlink_metadata(path) {
        // Or a link to one: people move folders to other disks.
        Ok(_) if folder && path.is_dir() => true,
        Ok(found) if !folder && found.is_file() => true,
        Ok(_) => clear(path).is_ok(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}
