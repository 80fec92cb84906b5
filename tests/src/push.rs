//! Putting images into a registry: by hand, with the fewest requests a registry accepts, or by strata.

use crate::http::{Answer, Http};
use crate::image::{Blob, Image};
use crate::poll::within;
use crate::server::escape;
use anyhow::{Context, Result, bail};
use hyper::Method;
use serde_json::Value;

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

/// A push that strata has made, or has failed to.
#[derive(Clone, Debug)]
pub struct Pushed {
    /// The whole answer.
    pub answer: Answer,
    /// The messages of the stream, in order; of an error answer, its one document.
    pub messages: Vec<Value>,
}

impl Pushed {
    /// The error, by status or in the stream.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if self.answer.status >= 400 {
            return text(&self.messages.first()?["message"]);
        }
        text(&self.messages.last()?["errorDetail"]["message"])
    }

    /// The digest that was pushed, if the push succeeded.
    ///
    /// # Errors
    /// When it failed, or never said that it succeeded.
    pub fn ok(&self) -> Result<&str> {
        let last = self.messages.last().map(|last| &last["aux"]["Digest"]);
        match last.and_then(Value::as_str) {
            Some(digest) if self.answer.status == 200 && self.error().is_none() => Ok(digest),
            _ => bail!(
                "push failed ({}): {}",
                self.answer.status,
                self.answer.text()
            ),
        }
    }
}

/// The path of the request that pushes a reference `name:tag`.
#[must_use]
pub fn path(reference: &str) -> String {
    let (name, tag) = reference.rsplit_once(':').unwrap_or((reference, "latest"));
    format!("/images/{name}/push?tag={}", escape(tag))
}

/// Lets the server behind `http` push a reference `name:tag`, without credentials.
///
/// # Errors
/// When the connection fails.
pub async fn through(http: &Http, reference: &str) -> Result<Pushed> {
    let path = path(reference);
    let answer = http.send(Method::POST, &path, &[("x-registry-auth", "e30=")], "{}");
    let answer = within(&format!("push {reference}"), answer).await??;
    let stream = serde_json::Deserializer::from_slice(&answer.body).into_iter();
    let messages = stream.map_while(Result::ok).collect();
    Ok(Pushed { answer, messages })
}
