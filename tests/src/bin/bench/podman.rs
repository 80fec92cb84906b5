//! podman with a store of its own.

use std::path::Path;
use std::process::Stdio;
use tempfile::TempDir;
use tokio::process::Command;

/// podman and where it stores; without root it is the rootless podman.
pub(crate) struct Podman {
    driver: &'static str,
    place: TempDir,
}

impl Podman {
    /// On the empty folder `place`.
    pub(crate) fn new(driver: &'static str, place: TempDir) -> Self {
        Self { driver, place }
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        command(self.driver, self.place.path(), args)
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // A podman that failed leaves this folder mounted on itself, and so undeletable.
        let mut unmount = std::process::Command::new("umount");
        unmount.arg(self.place.path().join("root/overlay"));
        let quiet = unmount.stdout(Stdio::null()).stderr(Stdio::null());
        quiet.status().ok();
    }
}

fn command(driver: &str, place: &Path, args: &[&str]) -> Command {
    let mut podman = Command::new("podman");
    podman
        .arg("--root")
        .arg(place.join("root"))
        .arg("--runroot")
        .arg(place.join("run"))
        .args(["--storage-driver", driver])
        .args(args);
    podman
}

/// `podman pull` into `place`.
pub(crate) fn pull(driver: &str, place: &Path, reference: &str) -> Command {
    command(
        driver,
        place,
        &["pull", "--quiet", "--tls-verify=false", reference],
    )
}
