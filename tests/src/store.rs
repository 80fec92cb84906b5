//! What must hold of a store at any moment, checked from outside as another tool would see it.

use crate::client::skopeo;
use crate::layer::sha256;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Names in `index.json`, sorted.
///
/// # Errors
/// When the store is not an OCI layout.
pub fn names(store: &Path) -> Result<Vec<String>> {
    let mut names: Vec<String> = index(store)?.iter().filter_map(name_of).collect();
    names.sort();
    Ok(names)
}

/// Digests of all visible blobs, sorted.
///
/// # Errors
/// When a folder cannot be read.
pub fn blobs(store: &Path) -> Result<Vec<String>> {
    let mut digests = Vec::new();
    for algorithm in folder(&store.join("blobs"))? {
        for file in folder(&algorithm)? {
            digests.push(format!("{}:{}", last(&algorithm), last(&file)));
        }
    }
    digests.sort();
    Ok(digests)
}

/// Every visible blob matches its digest, and every name leads to a manifest whose content is all here.
///
/// # Errors
/// When that is not so: the text names the blob.
pub fn check(store: &Path) -> Result<()> {
    for digest in blobs(store)? {
        let bytes = std::fs::read(blob(store, &digest))?;
        ensure!(
            sha256(&bytes) == digest,
            "{digest} is visible but its {} bytes hash to {}",
            bytes.len(),
            sha256(&bytes)
        );
    }
    for entry in index(store)? {
        let name = name_of(&entry).unwrap_or_default();
        ensure!(
            complete(store, &entry)?,
            "the name {name:?} has nothing complete behind it: {entry}"
        );
    }
    Ok(())
}

/// As [`check`], once the store has come to rest: `index.json` may follow a change of names by a moment.
///
/// # Errors
/// When it does not come to hold: the text says what was still wrong.
pub async fn settles(store: &Path) -> Result<()> {
    let mut last = Ok(());
    let holds = crate::poll::until("the store to hold", async || {
        last = check(store);
        last.is_ok().then_some(())
    });
    let waited = holds.await;
    last.and(waited)
}

/// As [`check`], and skopeo reads every name.
///
/// # Errors
/// When that is not so.
pub async fn check_with_skopeo(store: &Path) -> Result<()> {
    check(store)?;
    for name in names(store)? {
        skopeo(&["inspect", &format!("oci:{}:{name}", store.display())])
            .await?
            .ok()?;
    }
    Ok(())
}

/// Bytes of everything but the database, the reserve, whose size is fixed, and what was derived from blobs
/// that stay: what a full prune must give back.
///
/// # Errors
/// When a folder cannot be read.
pub fn content_size(store: &Path) -> Result<u64> {
    let mut size = 0;
    let mut folders = vec![store.to_path_buf()];
    while let Some(next) = folders.pop() {
        for path in folder(&next)? {
            // A file may go between the listing and this look: the store may be served.
            let Ok(metadata) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if path.ends_with(".strata/derived") {
                continue;
            }
            if metadata.is_dir() {
                folders.push(path);
            } else if !is_database(&path) && !path.ends_with(".strata/reserve") {
                size += metadata.len();
            }
        }
    }
    Ok(size)
}

/// SQLite's file and the two it keeps beside it.
fn is_database(path: &Path) -> bool {
    let name = last(path);
    [
        ".db",
        ".db-wal",
        ".db-shm",
        ".sqlite",
        ".sqlite-wal",
        ".sqlite-shm",
        ".sqlite3",
        ".sqlite3-wal",
        ".sqlite3-shm",
    ]
    .iter()
    .any(|ending| name.ends_with(ending))
}

fn complete(store: &Path, descriptor: &Value) -> Result<bool> {
    let digest = descriptor["digest"]
        .as_str()
        .context("a descriptor without a digest")?;
    let Ok(bytes) = std::fs::read(blob(store, digest)) else {
        return Ok(false);
    };
    let Ok(document) = serde_json::from_slice::<Value>(&bytes) else {
        return Ok(false);
    };
    if let Some(children) = document["manifests"].as_array() {
        // Of an index, one platform is enough: the others may never have been asked for.
        for child in children {
            if complete(store, child)? {
                return Ok(true);
            }
        }
        return Ok(children.is_empty());
    }
    let layers = document["layers"].as_array().into_iter().flatten();
    let parts = layers.chain(std::iter::once(&document["config"]));
    Ok(parts
        .filter_map(|part| part["digest"].as_str())
        .all(|digest| blob(store, digest).is_file()))
}

fn index(store: &Path) -> Result<Vec<Value>> {
    let path = store.join("index.json");
    let text =
        std::fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
    let index: Value = serde_json::from_slice(&text).context("index.json is not JSON")?;
    Ok(index["manifests"]
        .as_array()
        .context("index.json has no manifests")?
        .clone())
}

fn name_of(entry: &Value) -> Option<String> {
    Some(
        entry["annotations"]["org.opencontainers.image.ref.name"]
            .as_str()?
            .to_owned(),
    )
}

/// The file of a blob.
#[must_use]
pub fn blob(store: &Path, digest: &str) -> PathBuf {
    let (algorithm, encoded) = digest.split_once(':').unwrap_or(("sha256", digest));
    store.join("blobs").join(algorithm).join(encoded)
}

/// The paths in a folder; none if there is no such folder.
fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    match std::fs::read_dir(path) {
        Ok(entries) => Ok(entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("could not list {}", path.display())),
    }
}

fn last(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::small;

    #[tokio::test]
    async fn a_written_layout_holds_and_a_changed_blob_is_found() {
        let store = tempfile::tempdir().unwrap();
        let image = small("one").unwrap();
        crate::layout::write(store.path(), &[("127.0.0.1:1/one:1", &image)]).unwrap();
        check_with_skopeo(store.path()).await.unwrap();
        assert_eq!(blobs(store.path()).unwrap().len(), 3);

        let layer = blob(store.path(), &image.layers[0].digest);
        std::fs::write(&layer, "changed").unwrap();
        assert!(
            check(store.path())
                .unwrap_err()
                .to_string()
                .contains("is visible but")
        );
        std::fs::remove_file(&layer).unwrap();
        assert!(
            check(store.path())
                .unwrap_err()
                .to_string()
                .contains("nothing complete")
        );
    }
}
