//! The directories of an OCI image layout, and the blobs in it.
//!
//! Knows no database: whether a blob may be removed is decided by [`crate::content`]. What is in a
//! blob's place is told by [`place`], and changed by [`change`].
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

mod access;
mod change;
mod marker;
mod place;
mod stamp;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::directory::make;
use crate::error::Doing as _;
use crate::private::Private;
use crate::{Algorithm, Error, Options, regular};
use access::Access;
use marker::Marker;

pub(crate) use change::{Removed, room_for};
pub(crate) use place::{Broken, Place, Unopened};
pub(crate) use stamp::Stamp;

/// The lock of whoever creates a store or its databases.
pub(crate) const OPENING: &str = "open.lock";

/// A layout on disk.
pub(crate) struct Layout {
    root: PathBuf,
    private: Private,
    access: Access,
    /// `blobs/<alg>`, opened at first use: lookups relative to it are short and quick.
    directories: [OnceLock<OwnedFd>; Algorithm::ALL.len()],
}

impl Layout {
    /// Opens the layout at `root`, and creates it in a missing or empty directory.
    ///
    /// Returns whether it can be written, too.
    pub(crate) fn open(root: &Path, options: &Options) -> Result<(Layout, bool), Error> {
        let read_only = options.read_only;
        let at = || format!("opening the store {}", root.display());
        if !read_only {
            make(root)?;
        }
        let root = fs::canonicalize(root).doing(at)?;
        let layout = Layout {
            private: Private::new(&root, options.lock_timeout),
            root,
            access: Access::default(),
            directories: Default::default(),
        };
        let mut marker = layout.marker()?;
        if let Marker::Absent = marker
            && !layout.is_ours()
            && let Err(error) = layout.check_empty()
        {
            // Unless another process creates it just now.
            marker = layout.marker()?;
            if let Marker::Absent = marker {
                return Err(error);
            }
        }
        let is_right = matches!(marker, Marker::Right);
        let broken = match marker {
            Marker::Right => None,
            Marker::Absent if layout.is_ours() => Some("it is missing".to_owned()),
            Marker::Broken(why) if layout.is_ours() => Some(why),
            Marker::Broken(why) => return Err(layout.refuse(&why)),
            Marker::Absent => None,
        };
        let found = is_right || broken.is_some();
        if !found && read_only {
            return Err(Error::ReadOnly(format!(
                "{} is empty, and no store can be created in it",
                layout.root.display()
            )));
        }
        let writable = !read_only
            && match layout.create(found, broken.as_deref()) {
                Ok(()) => true,
                Err(Error::ReadOnly(_)) if found => false,
                Err(Error::Io { source, .. })
                    if found && source.kind() == io::ErrorKind::PermissionDenied =>
                {
                    false
                }
                Err(error) => return Err(error),
            };
        Ok((layout, writable))
    }

    fn check_empty(&self) -> Result<(), Error> {
        let at = || format!("reading {}", self.root.display());
        for entry in fs::read_dir(&self.root).doing(at)? {
            let name = entry.doing(at)?.file_name();
            // A store whose creation was cut short has only `.strata`; a fresh disk `lost+found`.
            if name != ".strata" && name != "lost+found" {
                return Err(Error::Invalid(format!(
                    "{} is neither empty nor an OCI image layout (it has {name:?} but no \
                     oci-layout); give another directory, or put oci-layout back if it was one",
                    self.root.display()
                )));
            }
        }
        Ok(())
    }

    /// Makes the directories, and the marker before any that make a directory look foreign. `broken`
    /// says why the marker is written anew.
    fn create(&self, found: bool, broken: Option<&str>) -> Result<(), Error> {
        make(&self.private(""))?;
        for name in ["quarantine", "derived"] {
            self.clear_folder(name)?;
        }
        for name in ["ingest", "owners", "trash"] {
            self.make_folder(name)?;
        }
        if !found || broken.is_some() {
            self.mark(broken)?;
        }
        make(&self.root.join("blobs/sha256"))
    }

    /// Waits for the lock `name` among all processes, though not for ever. It is held as long as the
    /// file is open.
    pub(crate) fn lock(&self, name: &str) -> Result<File, Error> {
        self.private.lock(name)
    }

    /// The store's directory, canonical.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A file or directory of our own, beside the layout.
    pub(crate) fn private(&self, name: &str) -> PathBuf {
        self.private.path(name)
    }

    /// The folder of our own, beside the layout.
    pub(crate) fn place(&self) -> &Private {
        &self.private
    }

    /// Partial downloads.
    pub(crate) fn ingests(&self) -> PathBuf {
        self.private("ingest")
    }

    /// Removed blobs that are not unlinked yet.
    pub(crate) fn trash(&self) -> PathBuf {
        self.private("trash")
    }

    /// What was derived from blobs.
    pub(crate) fn derived(&self) -> PathBuf {
        self.private("derived")
    }

    /// Damaged blobs that were moved away.
    pub(crate) fn quarantine(&self) -> PathBuf {
        self.private.quarantine()
    }

    /// One locked file per process that uses the store.
    pub(crate) fn owners(&self) -> PathBuf {
        self.private.owners()
    }

    /// Replaces a file of the layout atomically and durably. Callers see to it that only one does
    /// so at a time.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let doing = || format!("writing {name}");
        let temporary = self.private(&format!("{name}.new"));
        regular::clear_other(&temporary, false);
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        if let Err(error) = written {
            let _ = fs::remove_file(&temporary);
            return Err(Error::io(doing(), error));
        }
        fs::rename(&temporary, self.root.join(name)).doing(doing)?;
        File::open(&self.root)
            .and_then(|root| root.sync_all())
            .doing(doing)
    }

    /// `blobs/<alg>`.
    fn folder(&self, algorithm: Algorithm) -> PathBuf {
        self.root.join("blobs").join(algorithm.as_str())
    }

    /// `blobs/<alg>`, `None` while there is no such folder.
    fn directory(&self, algorithm: Algorithm) -> Result<Option<&OwnedFd>, Error> {
        let slot = &self.directories[algorithm as usize];
        if let Some(directory) = slot.get() {
            return Ok(Some(directory));
        }
        let path = self.folder(algorithm);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match rustix::fs::open(&path, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(slot.get_or_init(|| directory))),
            // What is no folder has no blobs: storing one says so.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(Error::io(
                format!("opening {}", path.display()),
                io::Error::from(error),
            )),
        }
    }

    /// Makes creations and removals of blobs durable.
    pub(crate) fn sync(&self, algorithm: Algorithm) -> Result<(), Error> {
        match self.directory(algorithm)? {
            Some(directory) => rustix::fs::fsync(directory)
                .doing(|| format!("syncing blobs/{}", algorithm.as_str())),
            None => Ok(()),
        }
    }
}
