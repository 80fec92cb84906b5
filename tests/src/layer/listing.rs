//! What a tar says, entry by entry, and what a stack of layers comes to when GNU tar extracts it.

use super::{Layer, sha256};
use crate::client::program;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use tar::EntryType;

/// One entry of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: EntryType,
    /// Permission, set-ID and sticky bits.
    pub mode: u32,
    /// User and group.
    pub owner: (u64, u64),
    /// Unix seconds; 0 for directories, whose time changes with what is put into them.
    pub modified: u64,
    /// Where a link leads, else empty.
    pub link: String,
    /// Digest of a file's content.
    pub content: Option<String>,
}

/// The entries of a tar, by path without leading `./` or trailing `/`. The root itself is left out.
///
/// # Errors
/// When it is not a tar, or names a path twice.
pub fn listing(tar: &[u8]) -> Result<BTreeMap<String, Member>> {
    let mut members = BTreeMap::new();
    for entry in tar::Archive::new(tar).entries()? {
        let mut entry = entry?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.trim_start_matches("./").trim_matches('/').to_owned();
        if path.is_empty() || path == "." {
            continue;
        }
        let kind = entry.header().entry_type();
        let link = entry.link_name_bytes().unwrap_or_default().into_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        let header = entry.header();
        let modified = match kind {
            EntryType::Directory => 0,
            _ => header.mtime()?,
        };
        let member = Member {
            kind,
            mode: header.mode()? & 0o7777,
            owner: (header.uid()?, header.gid()?),
            modified,
            link: String::from_utf8_lossy(&link).into_owned(),
            content: kind.is_file().then(|| sha256(&content)),
        };
        let known = members.insert(path.clone(), member);
        ensure!(known.is_none(), "{path} stands twice in the tar");
    }
    Ok(members)
}

/// The first path that two listings disagree about, with what either says; `None` if they are equal.
#[must_use]
pub fn difference(
    left: &BTreeMap<String, Member>,
    right: &BTreeMap<String, Member>,
) -> Option<String> {
    let mut paths = left.keys().chain(right.keys());
    let path = paths.find(|path| left.get(*path) != right.get(*path))?;
    let (left, right) = (left.get(path), right.get(path));
    Some(format!("{path}: {left:?} against {right:?}"))
}

/// Extracts a tar over what is in `folder`, with GNU tar.
///
/// # Errors
/// When tar complains.
pub async fn extract(tar: &[u8], folder: &Path) -> Result<()> {
    let folder = folder.display().to_string();
    let args = ["-x", "-p", "--numeric-owner", "-C", &folder];
    program("tar", &args, tar).await?.ok()?;
    Ok(())
}

/// The listing of what lies in `folder`, through GNU tar: the way to compare what was extracted from archives
/// whose entries come in different orders.
///
/// # Errors
/// When tar complains.
pub async fn of_folder(folder: &Path) -> Result<BTreeMap<String, Member>> {
    let folder = folder.display().to_string();
    let args = ["-c", "--sort=name", "--numeric-owner", "-C", &folder, "."];
    listing(&program("tar", &args, &[]).await?.archive()?)
}

/// The listing of a tar once GNU tar has extracted it.
///
/// # Errors
/// When tar complains.
pub async fn extracted(tar: &[u8]) -> Result<BTreeMap<String, Member>> {
    let folder = tempfile::tempdir()?;
    extract(tar, folder.path()).await?;
    of_folder(folder.path()).await
}

/// The listing of layers extracted one over the other, by the rules of the OCI image-spec: what a layer's
/// whiteouts name goes before its other entries come.
///
/// # Errors
/// When a layer is no tar, or tar complains.
pub async fn stacked(layers: &[Layer]) -> Result<BTreeMap<String, Member>> {
    let folder = tempfile::tempdir()?;
    for layer in layers {
        let tar = plain(layer)?;
        for path in listing(&tar)?.keys() {
            let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
            let parent = folder.path().join(parent);
            match name.strip_prefix(".wh.") {
                Some(".wh..opq") => {
                    for entry in std::fs::read_dir(&parent)? {
                        remove(&entry?.path())?;
                    }
                }
                Some(gone) => remove(&parent.join(gone))?,
                None => {}
            }
        }
        let target = folder.path().display().to_string();
        let args = [
            "-x",
            "-p",
            "--numeric-owner",
            "--exclude=.wh.*",
            "-C",
            &target,
        ];
        program("tar", &args, &tar).await?.ok()?;
    }
    of_folder(folder.path()).await
}

/// The tar inside a layer.
///
/// # Errors
/// When it does not decompress.
pub fn plain(layer: &Layer) -> Result<Vec<u8>> {
    use super::Compression;
    let mut tar = Vec::new();
    match layer.compression {
        Compression::Plain => tar.extend_from_slice(&layer.bytes),
        Compression::Gzip => {
            flate2::read::GzDecoder::new(&layer.bytes[..]).read_to_end(&mut tar)?;
        }
        Compression::Zstd => tar = zstd::decode_all(&layer.bytes[..])?,
    }
    Ok(tar)
}

fn remove(path: &Path) -> Result<()> {
    let metadata = std::fs::symlink_metadata(path)
        .with_context(|| format!("a whiteout for {}, which is not there", path.display()))?;
    if metadata.is_dir() {
        std::fs::remove_dir_all(path)?;
    } else {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::layered;

    #[tokio::test]
    async fn the_stack_is_what_its_layers_leave() {
        let (_, layers) = layered("stack").unwrap();
        let stacked = stacked(&layers).await.unwrap();
        assert!(!stacked.contains_key("opt/gone"));
        assert!(!stacked.contains_key("opt/full/old"));
        assert_eq!(stacked["opt/full/new"].content, Some(sha256(b"new\n")));
        assert_eq!(stacked["opt/hard-b"].link, "./opt/hard-a");
        assert_eq!(stacked["opt/setuid"].mode, 0o4755);
        assert_eq!(stacked["opt/old-time"].modified, 1_000_000_000);
        assert_eq!(stacked["opt/link"].link, "/opt/keep");

        let tar = plain(&layers[1]).unwrap();
        let once = extracted(&tar).await.unwrap();
        assert_eq!(once["opt/gone"].content, Some(sha256(b"gone\n")));
        let missing = difference(&once, &stacked).unwrap();
        assert!(missing.contains(" against "), "{missing}");
        assert_eq!(difference(&once, &once), None);
    }
}
