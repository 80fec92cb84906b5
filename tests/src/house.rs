//! The usual set: a real registry, a server on an empty store, a docker CLI that talks to it.

use crate::client::Docker;
use crate::image::{Image, Schema};
use crate::layer::{Compression, Layer};
use crate::registry::Registry;
use crate::server::Server;
use anyhow::Result;
use serde_json::json;
use tempfile::TempDir;

/// A registry, a server on an empty store, and a CLI that talks to it.
#[derive(Debug)]
pub struct House {
    /// Where the images are.
    pub registry: Registry,
    /// On an empty store.
    pub server: Server,
    /// Talks to the server.
    pub docker: Docker,
    /// The server's store.
    pub store: TempDir,
}

impl House {
    /// Starts all of them.
    ///
    /// # Errors
    /// When a program is not installed.
    pub async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        let docker = Docker::new(&server.host)?;
        Ok(Self {
            registry: Registry::start().await?,
            server,
            docker,
            store,
        })
    }

    /// What `docker ARGS` prints.
    ///
    /// # Errors
    /// When it fails.
    pub async fn ok(&self, args: &[&str]) -> Result<String> {
        self.docker.run(args).await?.ok()
    }

    /// The error that `docker ARGS` prints.
    ///
    /// # Errors
    /// When it succeeds.
    pub async fn failed(&self, args: &[&str]) -> Result<String> {
        self.docker.run(args).await?.failed()
    }

    /// Pushes an image and pulls it.
    ///
    /// # Errors
    /// When either fails.
    pub async fn pulled(&self, repository: &str, tag: &str, image: &Image) -> Result<String> {
        let reference = self.registry.push(repository, tag, image).await?;
        self.ok(&["pull", &reference]).await?;
        Ok(reference)
    }

    /// What `docker images ARGS` shows as `{{.Repository}}:{{.Tag}}`, sorted.
    ///
    /// # Errors
    /// When it fails.
    pub async fn images(&self, args: &[&str]) -> Result<Vec<String>> {
        let command = [&["images", "--format", "{{.Repository}}:{{.Tag}}"], args].concat();
        let mut lines: Vec<String> = self
            .ok(&command)
            .await?
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        Ok(lines)
    }
}

/// An image of two real packages, with history, labels and a command.
///
/// # Errors
/// When a package is not to be had.
pub fn package_image(schema: Schema, compression: Compression) -> Result<Image> {
    Ok(Image::builder(schema)
        .layer(
            Layer::from_package("base-files", compression)?,
            "COPY base-files /",
        )
        .layer(
            Layer::from_package("hostname", compression)?,
            "COPY hostname /",
        )
        .step("CMD [\"hostname\"]")
        .config("Cmd", json!(["hostname"]))
        .config("Env", json!(["PATH=/usr/bin:/bin"]))
        .labels(json!({"made.of": "debian"}))
        .build())
}
