//! A tar of a container's files onto the local disk.
//!
//! The tar is not trusted: nothing is written outside the place that was named, and no link in it
//! is followed. Files belong to whoever runs this, and set-ID bits are left out.

use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use tar::{Archive, Entry, EntryType};

/// Permission bits that are taken over.
const PERMISSIONS: u32 = 0o777;

/// The topmost entry.
#[derive(Debug)]
pub(super) struct Top {
    /// Its name on disk; `None` for contents that have names of their own.
    pub(super) name: Option<String>,
    /// Whether each path in the tar begins with it, under the name it has there.
    pub(super) is_in_tar: bool,
}

/// Unpacks into an existing directory. Returns what was left out: devices and pipes.
///
/// # Errors
///
/// If the tar is broken or leads elsewhere, or something cannot be written, with its path.
pub(super) fn unpack(tar: impl Read, folder: &Path, top: &Top) -> io::Result<Vec<PathBuf>> {
    let mut unpacked = Unpacked {
        folder,
        top,
        folders: Vec::new(),
        skipped: Vec::new(),
    };
    let mut archive = Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.into_owned();
        unpacked.entry(&mut entry, &name).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", name.display()))
        })?;
    }
    unpacked.finish()
}

struct Unpacked<'a> {
    folder: &'a Path,
    top: &'a Top,
    /// Directories with the permissions and time they shall have once all is in them.
    folders: Vec<(PathBuf, u32, SystemTime)>,
    skipped: Vec<PathBuf>,
}

impl Unpacked<'_> {
    fn entry(&mut self, entry: &mut Entry<'_, impl Read>, name: &Path) -> io::Result<()> {
        let Some(path) = self.place(name)? else {
            // The directory whose contents are copied; the one they go to is there already.
            return Ok(());
        };
        let mode = entry.header().mode()? & PERMISSIONS;
        let seconds = Duration::from_secs(entry.header().mtime()?);
        let modified = SystemTime::UNIX_EPOCH.checked_add(seconds);
        let modified = modified.unwrap_or(SystemTime::UNIX_EPOCH);
        match entry.header().entry_type() {
            EntryType::Directory => {
                match fs::symlink_metadata(&path) {
                    Ok(found) if found.is_dir() => {}
                    Ok(_) => return Err(ErrorKind::NotADirectory.into()),
                    Err(_) => fs::create_dir(&path)?,
                }
                self.folders.push((path, mode, modified));
            }
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                make_room(&path)?;
                let mut file = File::create_new(&path)?;
                io::copy(entry, &mut file)?;
                file.set_permissions(Permissions::from_mode(mode))?;
                file.set_times(FileTimes::new().set_modified(modified))?;
            }
            EntryType::Symlink => {
                let target = entry.link_name()?.ok_or_else(no_target)?;
                make_room(&path)?;
                symlink(target, &path)?;
            }
            EntryType::Link => {
                let target = entry.link_name()?.ok_or_else(no_target)?;
                let target = self.place(&target)?.ok_or_else(no_target)?;
                if !fs::symlink_metadata(&target)?.is_file() {
                    return Err(no_target());
                }
                make_room(&path)?;
                fs::hard_link(target, &path)?;
            }
            _ => self.skipped.push(path),
        }
        Ok(())
    }

    /// Where an entry goes, in directories that are there and are no links. `None` for the place
    /// all of it goes to.
    fn place(&self, name: &Path) -> io::Result<Option<PathBuf>> {
        let mut inside = PathBuf::new();
        for component in name.components() {
            match component {
                Component::Normal(part) => inside.push(part),
                Component::CurDir | Component::RootDir => {}
                Component::ParentDir | Component::Prefix(_) => return Err(leads_out()),
            }
        }
        let mut parts = inside.components();
        if self.top.is_in_tar {
            parts.next().ok_or_else(leads_out)?;
        }
        let named = self.top.name.as_deref().map(Path::new);
        let below = named.unwrap_or(Path::new("")).join(parts.as_path());
        let Some(parent) = below.parent() else {
            return Ok(None);
        };
        let mut path = self.folder.to_path_buf();
        for part in parent.components() {
            path.push(part);
            match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => return Err(leads_out()),
                Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir(&path)?,
                Err(error) => return Err(error),
            }
        }
        Ok(below.file_name().map(|name| path.join(name)))
    }

    /// Gives directories what would have been in the way while they were filled.
    fn finish(self) -> io::Result<Vec<PathBuf>> {
        for (path, mode, modified) in self.folders.into_iter().rev() {
            let folder = File::open(&path)?;
            folder.set_times(FileTimes::new().set_modified(modified))?;
            folder.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(self.skipped)
    }
}

/// Removes what is not a directory, as docker replaces files and links.
fn make_room(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn leads_out() -> io::Error {
    io::Error::new(
        ErrorKind::InvalidData,
        "it leads out of the place that was named",
    )
}

fn no_target() -> io::Error {
    io::Error::new(ErrorKind::InvalidData, "a hard link to what is no file")
}

#[cfg(test)]
mod tests;
