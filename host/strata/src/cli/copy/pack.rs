//! Local files into a tar. They belong to root there, as docker has it.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use tar::{Builder, Header};

/// Writes a tar of what is at `path`: named `name`, or only what is in it. With `follow` a link
/// at `path` itself stands for what it leads to.
///
/// # Errors
///
/// If something cannot be read, with its path, or the tar cannot be written.
pub(super) fn pack(
    out: impl Write,
    path: &Path,
    follow: bool,
    name: Option<&str>,
) -> io::Result<()> {
    let mut tar = Builder::new(out);
    // The next one is the last.
    let mut waiting = Vec::new();
    match name {
        Some(name) => {
            let metadata = match follow {
                true => fs::metadata(path),
                false => fs::symlink_metadata(path),
            };
            let metadata = metadata.map_err(|error| about(path, &error))?;
            waiting.push((path.to_path_buf(), PathBuf::from(name), metadata));
        }
        None => waiting.extend(contents(path, Path::new(""))?),
    }
    while let Some((path, name, metadata)) = waiting.pop() {
        append(&mut tar, &path, &name, &metadata).map_err(|error| about(&path, &error))?;
        if metadata.is_dir() {
            waiting.extend(contents(&path, &name)?);
        }
    }
    tar.into_inner()?.flush()
}

type Waiting = (PathBuf, PathBuf, Metadata);

/// What is in a directory, in reverse order of the names, so that the same files give the same
/// tar.
fn contents(folder: &Path, name: &Path) -> io::Result<Vec<Waiting>> {
    let read = || {
        let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let entries = entries.into_iter().map(|entry| {
            let name = name.join(entry.file_name());
            Ok((entry.path(), name, entry.metadata()?))
        });
        entries.collect::<io::Result<Vec<Waiting>>>()
    };
    let mut found = read().map_err(|error| about(folder, &error))?;
    found.sort_by(|(_, one, _), (_, other, _)| other.cmp(one));
    Ok(found)
}

fn append(
    tar: &mut Builder<impl Write>,
    path: &Path,
    name: &Path,
    metadata: &Metadata,
) -> io::Result<()> {
    if metadata.file_type().is_socket() {
        // A tar has no sockets, and without its program one is of no use.
        return Ok(());
    }
    if !metadata.is_file() {
        let mut header = header(metadata);
        if metadata.is_symlink() {
            return tar.append_link(&mut header, name, fs::read_link(path)?);
        }
        return tar.append_data(&mut header, name, io::empty());
    }
    let file = File::open(path)?;
    // The file that was opened, should it be another by now.
    let metadata = file.metadata()?;
    let mut header = header(&metadata);
    let exactly = Exactly {
        left: metadata.len(),
        file,
    };
    tar.append_data(&mut header, name, exactly)
}

fn header(metadata: &Metadata) -> Header {
    let mut header = Header::new_gnu();
    header.set_metadata(metadata);
    header.set_uid(0);
    header.set_gid(0);
    header
}

/// A file of the size its header has, neither more nor less.
struct Exactly {
    file: File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (&mut self.file).take(self.left).read(buffer)?;
        if count == 0 && self.left > 0 && !buffer.is_empty() {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn names(tar: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap();
        let names = entries.map(|entry| {
            let entry = entry.unwrap();
            assert_eq!(entry.header().uid().unwrap(), 0);
            assert_eq!(entry.header().gid().unwrap(), 0);
            let link = entry.link_name().unwrap();
            let link = link.map(|link| format!(" -> {}", link.display()));
            let mode = entry.header().mode().unwrap() & 0o7777;
            let path = entry.path().unwrap();
            format!("{} {mode:o}{}", path.display(), link.unwrap_or_default())
        });
        names.collect()
    }

    fn packed(path: &Path, follow: bool, name: Option<&str>) -> Vec<String> {
        let mut tar = Vec::new();
        pack(&mut tar, path, follow, name).unwrap();
        names(&tar)
    }

    #[test]
    fn a_tree_is_packed_in_order_under_its_new_name_or_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("d");
        fs::create_dir_all(root.join("b")).unwrap();
        let mode = |path: &str, mode| {
            fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode)).unwrap();
        };
        fs::write(root.join("b/z"), "z").unwrap();
        fs::write(root.join("a"), "a").unwrap();
        symlink("../a", root.join("b/l")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("s")).unwrap();
        mode("", 0o755);
        mode("b", 0o700);
        mode("b/z", 0o640);
        mode("a", 0o4755);
        let below = ["a 4755", "b/ 700", "b/l 777 -> ../a", "b/z 640"];
        assert_eq!(
            packed(&root, false, None),
            below.map(|n| n.replace("b/ ", "b "))
        );
        let named = packed(&root, false, Some("new"));
        assert_eq!(named.len(), 5);
        assert_eq!(named[0], "new 755");
        assert_eq!(named[3], "new/b/l 777 -> ../a");
        symlink("d", folder.path().join("link")).unwrap();
        let link = folder.path().join("link");
        assert_eq!(packed(&link, false, Some("x")), ["x 777 -> d"]);
        assert_eq!(packed(&link, true, Some("x"))[0], "x 755");
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = pack(io::sink(), Path::new("/nonexistent/a"), false, Some("a"));
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("/nonexistent/a: "), "{error}");
    }

    #[test]
    fn a_file_that_became_shorter_makes_no_broken_tar() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "12").unwrap();
        let file = File::open(&path).unwrap();
        let mut short = Exactly { file, left: 3 };
        assert!(short.read_to_end(&mut Vec::new()).is_err());
        let file = File::open(&path).unwrap();
        let mut long = Exactly { file, left: 1 };
        assert_eq!(long.read_to_end(&mut Vec::new()).unwrap(), 1);
    }
}
