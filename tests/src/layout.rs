//! Images as OCI image layout folders, which skopeo and strata read from disk.

use crate::debian::{Content, Entry};
use crate::image::Image;
use crate::layer::tar;
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

/// Writes `images` under their names into `folder`, as a complete layout.
///
/// # Errors
/// When writing fails.
pub fn write(folder: &Path, images: &[(&str, &Image)]) -> Result<()> {
    let mut entries: Vec<Value> = Vec::new();
    for (name, image) in images {
        for blob in image.contents() {
            let (algorithm, encoded) = blob.digest.split_once(':').unwrap_or_default();
            let folder = folder.join("blobs").join(algorithm);
            std::fs::create_dir_all(&folder)?;
            std::fs::write(folder.join(encoded), &blob.bytes)?;
        }
        let mut descriptor = image.root.descriptor();
        descriptor["annotations"] = json!({"org.opencontainers.image.ref.name": name});
        entries.push(descriptor);
    }
    let index = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": entries});
    std::fs::write(folder.join("index.json"), index.to_string())?;
    std::fs::write(
        folder.join("oci-layout"),
        r#"{"imageLayoutVersion":"1.0.0"}"#,
    )?;
    Ok(())
}

/// The same as an archive, as `skopeo` writes it.
///
/// # Errors
/// When the folder it is made of cannot be written.
pub fn archive(images: &[(&str, &Image)]) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    write(folder.path(), images)?;
    let mut entries = Vec::new();
    for path in ["index.json", "oci-layout"] {
        let bytes = std::fs::read(folder.path().join(path))?;
        entries.push(entry(path, bytes.into()));
    }
    for (_, image) in images {
        entries.extend(image.contents().map(|blob| {
            let path = format!("blobs/{}", blob.digest.replace(':', "/"));
            entry(&path, blob.bytes.clone())
        }));
    }
    tar(&entries)
}

fn entry(path: &str, bytes: bytes::Bytes) -> Entry {
    Entry {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::File(bytes),
    }
}
