//! What is in the place of a blob: a file, nothing, or something that cannot be read.
//!
//! Disks fail, and other programs write into a layout, too. What keeps one blob from being found or opened is
//! said of that blob; only what would keep every blob from it is an error.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Access, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use super::{Layout, Stamp};
use crate::error::Doing as _;
use crate::{Algorithm, Digest, Error};

/// Permission bits of a file that everybody may read.
const READABLE: u32 = 0o444;

/// What is in the place of a blob.
pub(crate) enum Place {
    /// Nothing.
    Absent,
    /// A file that can be opened, as far as can be told. Its bytes may be others.
    File(Stamp),
    /// Something else.
    Broken(Broken),
}

/// Something in the place of a blob that cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Broken {
    /// What a mark of it is about.
    pub(crate) stamp: Stamp,
    /// Why, for people.
    pub(crate) reason: String,
}

impl Broken {
    /// As an error of the blob.
    pub(crate) fn error(self, digest: &Digest) -> Error {
        Error::Damaged {
            digest: digest.clone(),
            reason: self.reason,
        }
    }
}

/// Why a blob was not opened.
pub(crate) enum Unopened {
    Failed(Error),
    /// It is not marked yet: that may wait for the disk.
    Broken(Broken),
}

impl From<Error> for Unopened {
    fn from(error: Error) -> Unopened {
        Unopened::Failed(error)
    }
}

impl Unopened {
    /// As an error, for those who mark nothing.
    pub(crate) fn error(self, digest: &Digest) -> Error {
        match self {
            Unopened::Failed(error) => error,
            Unopened::Broken(broken) => broken.error(digest),
        }
    }
}

impl Layout {
    /// Looks for a blob. A symbolic link is what it leads to.
    ///
    /// # Errors
    ///
    /// Only what is about all blobs.
    pub(crate) fn look(&self, digest: &Digest) -> Result<Place, Error> {
        let Some(directory) = self.directory(digest.algorithm())? else {
            return Ok(Place::Absent);
        };
        let stat = match rustix::fs::statat(directory, digest.encoded(), AtFlags::empty()) {
            Ok(stat) => stat,
            Err(error) => return look_closer(directory, digest, error),
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            let reason = format!("in its place is {}", name_of(kind));
            return Ok(broken(directory, digest, reason));
        }
        // Asked only where it is in doubt: almost every file is for everybody.
        let is_in_doubt = stat.st_mode & READABLE != READABLE;
        if is_in_doubt
            && let Err(Errno::ACCESS) = rustix::fs::accessat(
                directory,
                digest.encoded(),
                Access::READ_OK,
                AtFlags::empty(),
            )
        {
            return Ok(broken(directory, digest, cannot("opened", Errno::ACCESS)));
        }
        Ok(Place::File(stamp_of(&stat)))
    }

    /// Size of a blob in bytes, `None` if there is no file. It may be damaged.
    pub(crate) fn blob_size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        Ok(match self.look(digest)? {
            Place::File(stamp) => Some(stamp.size),
            Place::Absent | Place::Broken(_) => None,
        })
    }

    /// What tells what is in the place of a blob from its successor, `None` if nothing is.
    pub(crate) fn stamp(&self, digest: &Digest) -> Result<Option<Stamp>, Error> {
        Ok(match self.look(digest)? {
            Place::File(stamp) | Place::Broken(Broken { stamp, .. }) => Some(stamp),
            Place::Absent => None,
        })
    }

    /// Opens a blob for reading. It may be damaged.
    pub(crate) fn open_blob(&self, digest: &Digest) -> Result<(File, Stamp), Unopened> {
        let absent = || Error::NotFound(format!("blob {digest} is not in the store"));
        let directory = self.directory(digest.algorithm())?.ok_or_else(absent)?;
        // Not blocking: should there be a pipe, opening it must not hang. Nor be a terminal's owner.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let error = match rustix::fs::openat(directory, digest.encoded(), flags, Mode::empty()) {
            Ok(file) => {
                let file = File::from(file);
                let metadata = file.metadata().doing(|| format!("opening {digest}"))?;
                if metadata.is_file() {
                    return Ok((file, Stamp::of(&metadata)));
                }
                None
            }
            Err(error) if is_about_all(directory, error) => {
                return Err(Error::io(format!("opening {digest}"), error.into()).into());
            }
            Err(error) => Some(error),
        };
        match (self.look(digest)?, error) {
            (Place::Broken(broken), _) => Err(Unopened::Broken(broken)),
            (Place::File(stamp), Some(error)) if error != Errno::NOENT => {
                let stamp = match error {
                    // That is about who asks, and not about the file.
                    Errno::ACCESS | Errno::PERM => Stamp::unreadable(stamp.inode),
                    _ => stamp,
                };
                let reason = cannot("opened", error);
                Err(Unopened::Broken(Broken { stamp, reason }))
            }
            // It came or went meanwhile.
            (Place::Absent | Place::File(_), _) => Err(absent().into()),
        }
    }

    /// Every blob with its size in bytes, in no order; one that cannot be read has none. What has
    /// other names is no blob.
    pub(crate) fn blobs(&self) -> Result<Vec<(Digest, Place)>, Error> {
        let mut blobs = Vec::new();
        for algorithm in Algorithm::ALL {
            if self.directory(algorithm)?.is_none() {
                continue;
            }
            let path = self.folder(algorithm);
            let doing = || format!("reading {}", path.display());
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(Error::io(doing(), error)),
            };
            for entry in entries {
                let name = entry.doing(doing)?.file_name();
                let Some(hex) = name.to_str() else { continue };
                let Ok(digest) = Digest::parse(&format!("{}:{hex}", algorithm.as_str())) else {
                    continue;
                };
                match self.look(&digest)? {
                    // One removed meanwhile is simply not listed.
                    Place::Absent => {}
                    place => blobs.push((digest, place)),
                }
            }
        }
        Ok(blobs)
    }
}

/// What a blob is that `stat` fails for.
fn look_closer(directory: &OwnedFd, digest: &Digest, error: Errno) -> Result<Place, Error> {
    if error == Errno::NOENT {
        // Nothing, or a link to nothing.
        return Ok(
            match rustix::fs::statat(directory, digest.encoded(), AtFlags::SYMLINK_NOFOLLOW) {
                Err(_) => Place::Absent,
                Ok(_) => {
                    let reason = "in its place is a symbolic link that leads nowhere".to_owned();
                    broken(directory, digest, reason)
                }
            },
        );
    }
    if is_about_all(directory, error) {
        return Err(Error::io(format!("looking for {digest}"), error.into()));
    }
    Ok(broken(directory, digest, cannot("looked at", error)))
}

fn broken(directory: &OwnedFd, digest: &Digest, reason: String) -> Place {
    match rustix::fs::statat(directory, digest.encoded(), AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Place::Absent,
        found => Place::Broken(Broken {
            stamp: Stamp::unreadable(found.map_or(0, |stat| stat.st_ino)),
            reason,
        }),
    }
}

fn cannot(what: &str, error: Errno) -> String {
    format!("it cannot be {what}: {}", io::Error::from(error))
}

/// Whether `error` would meet any blob: the process or the machine has too little of something, or the
/// folder itself cannot be used.
fn is_about_all(directory: &OwnedFd, error: Errno) -> bool {
    matches!(
        error,
        Errno::MFILE
            | Errno::NFILE
            | Errno::NOMEM
            | Errno::NOBUFS
            | Errno::INTR
            | Errno::AGAIN
            | Errno::BADF
            | Errno::INVAL
            | Errno::FAULT
            | Errno::NOTCONN
            | Errno::TIMEDOUT
            | Errno::HOSTDOWN
    ) || rustix::fs::statat(directory, ".", AtFlags::empty()).is_err()
}

fn stamp_of(stat: &Stat) -> Stamp {
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_possible_wrap,
        reason = "the widths of these differ between processors, and none needs the last bit"
    )]
    Stamp::new(
        stat.st_size.cast_unsigned(),
        stat.st_mtime as i64,
        stat.st_mtime_nsec as i64,
        stat.st_ino,
    )
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a directory",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no file",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_would_meet_every_blob_is_not_said_of_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = OwnedFd::from(File::open(place.path()).unwrap());
        // Nothing can be looked for in there.
        let unusable = OwnedFd::from(tempfile::tempfile().unwrap());
        for (error, is_of_all) in [
            (Errno::MFILE, true),
            (Errno::NFILE, true),
            (Errno::NOMEM, true),
            (Errno::IO, false),
            (Errno::LOOP, false),
            (Errno::ACCESS, false),
            (Errno::NOTDIR, false),
        ] {
            assert_eq!(is_about_all(&folder, error), is_of_all, "{error:?}");
            assert!(is_about_all(&unusable, error), "{error:?}");
        }
    }
}
