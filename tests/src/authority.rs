//! A private certificate authority, made by `openssl`.

use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// An authority and the certificates it gave to `127.0.0.1` and to a client.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes all of them.
    ///
    /// # Errors
    /// When `openssl` is not installed or fails.
    pub fn new() -> Result<Self> {
        let authority = Self {
            folder: tempfile::tempdir()?,
        };
        let folder = authority.folder.path();
        std::fs::write(folder.join("names"), "subjectAltName=IP:127.0.0.1\n")?;
        std::fs::write(folder.join("use"), "extendedKeyUsage=clientAuth\n")?;
        let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for arguments in [
            format!("req -x509 {curve} -days 2 -subj /CN=test-authority -keyout ca.key -out ca.pem"),
            format!("req -new {curve} -subj /CN=127.0.0.1 -keyout key.pem -out request.pem"),
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names \
             -out certificate.pem"
                .to_owned(),
            format!("req -new {curve} -subj /CN=client -keyout client.key -out client-request.pem"),
            "x509 -req -in client-request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile use \
             -out client.pem"
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

impl Authority {
    /// Certificate and key of the client.
    #[must_use]
    pub fn client(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join("client.pem"), folder.join("client.key"))
    }

    /// Puts the files of a client where docker looks for them under `DOCKER_CERT_PATH`.
    ///
    /// # Errors
    /// When they cannot be copied.
    pub fn equip(&self, folder: &Path) -> Result<()> {
        let (certificate, key) = self.client();
        std::fs::copy(self.certificate(), folder.join("ca.pem"))?;
        std::fs::copy(certificate, folder.join("cert.pem"))?;
        std::fs::copy(key, folder.join("key.pem"))?;
        Ok(())
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
