//! A private certificate authority, made by `openssl`.

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An authority and the certificate it gave to `127.0.0.1`.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes both.
    ///
    /// # Errors
    /// When `openssl` is not installed or fails.
    pub fn new() -> Result<Self> {
        let authority = Self {
            folder: tempfile::tempdir()?,
        };
        let folder = authority.folder.path();
        std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n")?;
        let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for arguments in [
            format!("req -x509 {curve} -days 2 -subj /CN=test-authority -keyout ca.key -out ca.pem"),
            format!("req -new {curve} -subj /CN=127.0.0.1 -keyout key.pem -out request.pem"),
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names \
             -out certificate.pem"
                .to_owned(),
        ] {
            openssl(folder, &arguments)?;
        }
        Ok(authority)
    }

    /// The authority's own certificate, which clients are told to trust.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Certificate and key of the server.
    #[must_use]
    pub fn server(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join("certificate.pem"), folder.join("key.pem"))
    }
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()?;
    ensure!(
        output.status.success(),
        "openssl {arguments}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
