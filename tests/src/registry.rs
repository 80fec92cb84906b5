//! The real `docker-registry`, on a loopback port of the kernel's choosing, killed when dropped.

use crate::http::Http;
use crate::image::Image;
use crate::poll::within;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// The user of a registry started with [`Registry::with_password`].
pub const USER: &str = "ann";
/// Her password.
pub const PASSWORD: &str = "correct horse";
// bcrypt (cost 5) of PASSWORD: the registry takes no other hash, and htpasswd may not be installed.
const HTPASSWD: &str = "ann:$2y$05$abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2\n";

/// A running registry. Images live at `127.0.0.1:PORT/…`.
#[derive(Debug)]
pub struct Registry {
    /// `127.0.0.1:PORT`, as it stands in a reference.
    pub host: String,
    /// For requests of a test's own.
    pub http: Http,
    auth: Option<String>,
    // In this order: the process goes before its files do.
    _process: Child,
    folder: TempDir,
}

impl Registry {
    /// A registry that anyone may read and write.
    ///
    /// # Errors
    /// When `docker-registry` is not installed or does not start.
    pub async fn start() -> Result<Self> {
        Self::launch("", false).await
    }

    /// A registry that asks for [`USER`] and [`PASSWORD`] by Basic authentication.
    ///
    /// # Errors
    /// When `docker-registry` is not installed or does not start.
    pub async fn with_password() -> Result<Self> {
        Self::launch("", true).await
    }

    /// A second registry over the same content that speaks TLS alone, with the certificate and key in these
    /// PEM files. Push to the first one: this one is for clients.
    ///
    /// # Errors
    /// When `docker-registry` does not start.
    pub async fn behind_tls(&self, certificate: &Path, key: &Path) -> Result<Self> {
        let tls = format!(
            ", tls: {{certificate: {}, key: {}}}",
            certificate.display(),
            key.display()
        );
        let secured = Self::launch(&tls, false).await?;
        std::fs::remove_dir_all(secured.storage()).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        std::os::unix::fs::symlink(self.storage(), secured.storage())?;
        Ok(secured)
    }

    async fn launch(tls: &str, password: bool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let htpasswd = folder.path().join("htpasswd");
        std::fs::write(&htpasswd, HTPASSWD)?;
        let auth = if password {
            format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                htpasswd.display()
            )
        } else {
            String::new()
        };
        let config = folder.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: info, formatter: text, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: '127.0.0.1:0'{tls}}}\n{auth}",
            data.display()
        );
        std::fs::write(&config, text)?;
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            // The test's collector settings are not the registry's.
            .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("could not start docker-registry: `cargo xtask setup` installs it")?;
        let stderr = process
            .stderr
            .take()
            .context("no pipe from docker-registry")?;
        let host = within("docker-registry to listen", listening(stderr)).await??;
        let http = Http::new(&format!("http://{host}"));
        let auth = password.then(|| {
            use base64::Engine as _;
            let pair = format!("{USER}:{PASSWORD}");
            format!(
                "Basic {}",
                base64::engine::general_purpose::STANDARD.encode(pair)
            )
        });
        Ok(Self {
            host,
            http,
            auth,
            _process: process,
            folder,
        })
    }

    /// Pushes an image and returns the reference a client pulls: `127.0.0.1:PORT/repository:tag`.
    ///
    /// # Errors
    /// When the registry refuses it.
    pub async fn push(&self, repository: &str, tag: &str, image: &Image) -> Result<String> {
        crate::push::push(&self.http, self.auth.as_deref(), repository, tag, image).await?;
        Ok(format!("{}/{repository}:{tag}", self.host))
    }

    /// Where the registry keeps its files.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("data")
    }
}

/// Reads the log until it names the address, then keeps draining it: a full pipe would stop the registry.
async fn listening(stderr: tokio::process::ChildStderr) -> Result<String> {
    let mut lines = BufReader::new(stderr).lines();
    let mut log = String::new();
    while let Some(line) = lines.next_line().await? {
        if let Some((_, rest)) = line.split_once("listening on ") {
            let end = rest.find(|c: char| c != '.' && c != ':' && !c.is_ascii_digit());
            let host = rest[..end.unwrap_or(rest.len())].to_owned();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(host);
        }
        log.push_str(&line);
        log.push('\n');
    }
    bail!("docker-registry ended before it listened:\n{log}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::skopeo;
    use crate::image::{Schema, small};
    use crate::layer::{Compression, Layer};

    #[tokio::test]
    async fn skopeo_copies_what_was_pushed() {
        let registry = Registry::start().await.unwrap();
        for schema in [Schema::Oci, Schema::Docker] {
            let layer = Layer::from_package("hostname", Compression::Gzip).unwrap();
            let image = Image::builder(schema)
                .layer(layer, "COPY hostname /")
                .step("CMD [\"hostname\"]")
                .build();
            let index = Image::index(schema)
                .image(&image, Some("linux/amd64"))
                .build();
            for image in [&image, &index] {
                let reference = registry.push("test/hostname", "1", image).await.unwrap();
                let copy = tempfile::tempdir().unwrap();
                let target = format!("oci:{}:copied", copy.path().display());
                let source = format!("docker://{reference}");
                let done = skopeo(&["copy", "--src-tls-verify=false", &source, &target])
                    .await
                    .unwrap();
                done.ok().unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_password_is_asked_for() {
        let registry = Registry::with_password().await.unwrap();
        registry
            .push("private", "1", &small("private").unwrap())
            .await
            .unwrap();
        assert_eq!(
            registry
                .http
                .get("/v2/private/manifests/1")
                .await
                .unwrap()
                .status,
            401
        );
    }
}
