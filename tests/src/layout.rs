//! Images as OCI image layout folders, which skopeo and strata read from disk.

use crate::image::Image;
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
