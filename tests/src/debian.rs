//! Real file trees: the contents of Debian packages.
//!
//! A package is downloaded once with apt and kept under `target/test-cache`. Without a network the same package's
//! files are taken from this machine, where it is installed.

use crate::workspace;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// One member of a file tree.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Relative, without a leading `./`.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What stands there.
    pub content: Content,
}

/// What stands at a path.
#[derive(Clone, Debug)]
pub enum Content {
    /// A directory.
    Directory,
    /// A regular file.
    File(Bytes),
    /// A symbolic link and where it points.
    Symlink(String),
}

/// The tree of an installed or downloadable package, sorted by path.
///
/// # Errors
/// When the package can neither be downloaded nor found on this machine.
pub fn package(name: &str) -> Result<Vec<Entry>> {
    // One download per package, however many tests ask at once.
    static DOWNLOADS: Mutex<()> = Mutex::new(());
    let cache = workspace::cache("test-cache/packages")?;
    let kept = cache.join(format!("{name}.tar"));
    {
        let _one = DOWNLOADS
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !kept.is_file() {
            let tar = downloaded(name).or_else(|_| installed(name))?;
            let scratch = tempfile::NamedTempFile::new_in(&cache)?;
            std::fs::write(scratch.path(), tar)?;
            scratch.persist(&kept)?;
        }
    }
    read_tar(&std::fs::read(&kept)?).with_context(|| format!("could not read {}", kept.display()))
}

/// The package's data archive, through apt.
fn downloaded(name: &str) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let options = [
        "-qq",
        "-o",
        "Acquire::Retries=1",
        "-o",
        "Acquire::http::Timeout=15",
    ];
    let status = Command::new("apt-get")
        .args(options)
        .args(["download", name])
        .current_dir(&folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    if !status.success() {
        bail!("apt-get download {name} ended with {status}");
    }
    let file = std::fs::read_dir(&folder)?
        .next()
        .context("apt-get left no file")??;
    let unpacked = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(file.path())
        .output()?;
    if !unpacked.status.success() {
        bail!("dpkg-deb could not open {}", file.path().display());
    }
    Ok(unpacked.stdout)
}

/// The same files as they lie on this machine.
fn installed(name: &str) -> Result<Vec<u8>> {
    let listed = Command::new("dpkg").args(["-L", name]).output()?;
    if !listed.status.success() {
        bail!("package {name} is neither downloadable nor installed here");
    }
    let mut entries = Vec::new();
    for path in String::from_utf8_lossy(&listed.stdout)
        .lines()
        .filter(|path| *path != "/.")
    {
        // Files an administrator removed, or that only root may read, are no loss to a test image.
        entries.extend(on_disk(Path::new(path)).ok());
    }
    crate::layer::tar(&entries)
}

/// One path of this machine as an entry.
///
/// # Errors
/// When it cannot be read, or is neither file, directory nor link.
pub fn on_disk(path: &Path) -> Result<Entry> {
    let metadata = std::fs::symlink_metadata(path)?;
    let content = if metadata.is_dir() {
        Content::Directory
    } else if metadata.is_symlink() {
        Content::Symlink(std::fs::read_link(path)?.to_string_lossy().into_owned())
    } else if metadata.is_file() {
        Content::File(std::fs::read(path)?.into())
    } else {
        bail!("{} is a special file", path.display());
    };
    let name = path
        .strip_prefix("/")
        .unwrap_or(path)
        .to_string_lossy()
        .into_owned();
    Ok(Entry {
        path: name,
        mode: metadata.permissions().mode() & 0o7777,
        content,
    })
}

fn read_tar(bytes: &[u8]) -> Result<Vec<Entry>> {
    let mut tree: BTreeMap<String, Entry> = BTreeMap::new();
    for member in tar::Archive::new(bytes).entries()? {
        let mut member = member?;
        let path = member
            .path()?
            .to_string_lossy()
            .trim_start_matches("./")
            .trim_matches('/')
            .to_owned();
        if path.is_empty() || path == "." {
            continue;
        }
        let link = member
            .link_name()?
            .map(|link| link.to_string_lossy().into_owned());
        let content = match (member.header().entry_type(), link) {
            (tar::EntryType::Directory, _) => Content::Directory,
            (tar::EntryType::Symlink, Some(link)) => Content::Symlink(link),
            (tar::EntryType::Link, Some(link)) => match tree.get(link.trim_start_matches("./")) {
                Some(target) => target.content.clone(),
                None => continue,
            },
            (tar::EntryType::Regular, _) => {
                let mut content = Vec::new();
                member.read_to_end(&mut content)?;
                Content::File(content.into())
            }
            _ => continue,
        };
        let mode = member.header().mode()? & 0o7777;
        tree.insert(
            path.clone(),
            Entry {
                path,
                mode,
                content,
            },
        );
    }
    Ok(tree.into_values().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_its_files() {
        let tree = package("hostname").unwrap();
        let binary = tree
            .iter()
            .find(|entry| entry.path.ends_with("bin/hostname"))
            .unwrap();
        assert!(matches!(&binary.content, Content::File(bytes) if bytes.starts_with(b"\x7fELF")));
        assert!(tree.is_sorted_by(|a, b| a.path < b.path));
    }
}
