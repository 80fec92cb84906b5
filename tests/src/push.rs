//! Putting images into a registry: the fewest requests a registry accepts.

use crate::http::Http;
use crate::image::{Blob, Image};
use anyhow::{Context, Result};
use hyper::Method;

/// Pushes an image with all it refers to, under `repository:tag`.
///
/// # Errors
/// When the registry refuses any part.
pub async fn push(
    registry: &Http,
    auth: Option<&str>,
    repository: &str,
    tag: &str,
    image: &Image,
) -> Result<()> {
    let auth: Vec<(&str, &str)> = auth
        .map(|value| ("authorization", value))
        .into_iter()
        .collect();
    for blob in image.layers.iter().chain(&image.configs) {
        push_blob(registry, &auth, repository, blob).await?;
    }
    for manifest in &image.manifests {
        push_manifest(registry, &auth, repository, &manifest.digest, manifest).await?;
    }
    push_manifest(registry, &auth, repository, tag, &image.root).await
}

/// Puts one manifest under a tag or digest.
///
/// # Errors
/// When the registry refuses it.
pub async fn push_manifest(
    registry: &Http,
    auth: &[(&str, &str)],
    repository: &str,
    reference: &str,
    manifest: &Blob,
) -> Result<()> {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let mut headers = auth.to_vec();
    headers.push(("content-type", &manifest.media_type));
    let answer = registry
        .send(Method::PUT, &path, &headers, manifest.bytes.clone())
        .await?;
    answer
        .expect_status(&[200, 201])
        .with_context(|| format!("PUT {path}"))?;
    Ok(())
}

async fn push_blob(
    registry: &Http,
    auth: &[(&str, &str)],
    repository: &str,
    blob: &Blob,
) -> Result<()> {
    let path = format!("/v2/{repository}/blobs/{}", blob.digest);
    if registry.send(Method::HEAD, &path, auth, "").await?.status == 200 {
        return Ok(());
    }
    let path = format!("/v2/{repository}/blobs/uploads/");
    let opened = registry
        .send(Method::POST, &path, auth, "")
        .await?
        .expect_status(&[202])?;
    let location = opened.header("location");
    let join = if location.contains('?') { '&' } else { '?' };
    let url = format!("{location}{join}digest={}", blob.digest);
    let mut headers = auth.to_vec();
    headers.push(("content-type", "application/octet-stream"));
    registry
        .send(Method::PUT, &url, &headers, blob.bytes.clone())
        .await?
        .expect_status(&[201])?;
    Ok(())
}
