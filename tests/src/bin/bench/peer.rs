//! The programs strata is measured beside, and how a run of one is timed.

use crate::daemon::{Containerd, Dockerd};
use crate::podman::{self, Podman};
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use strata_tests::image::small;
use strata_tests::memory::{Memory, memory};
use strata_tests::registry::Registry;
use strata_tests::{client, server, workspace};
use tokio::process::Command;

/// These ask a daemon: their own peak memory says nothing.
const CLIENTS: [&str; 2] = ["ctr", "docker"];

/// Wall time and peak memory of one run; zero where the peak is not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    pub(crate) peak: u64,
}

/// Which peers can run here.
pub(crate) struct Peers {
    /// podman's storage driver.
    podman: Option<&'static str>,
    containerd: bool,
    dockerd: bool,
    absent: Vec<String>,
}

impl Peers {
    /// Tries podman on a small image.
    pub(crate) async fn find(registry: &Registry) -> Result<Self> {
        let reference = registry.push("bench/trial", "1", &small("trial")?).await?;
        let mut absent = Vec::new();
        let mut podman = None;
        let mut reason = String::new();
        for driver in ["overlay", "vfs"] {
            let place = place()?;
            match measure(podman::pull(driver, place.path(), &reference)).await {
                Ok(_) => {
                    podman = Some(driver);
                    break;
                }
                Err(error) => reason = format!("podman cannot run here: {error:#}"),
            }
        }
        if podman.is_none() {
            absent.push(reason);
        }
        Ok(Self {
            podman,
            containerd: false,
            dockerd: false,
            absent,
        })
    }

    /// Tries containerd and dockerd on starting.
    pub(crate) async fn with_daemons(mut self) -> Result<Self> {
        match Containerd::start().await {
            Ok(containerd) => {
                containerd.stop().await?;
                self.containerd = true;
            }
            Err(error) => {
                self.absent
                    .push(format!("{error:#}; nor can dockerd without it"));
                return Ok(self);
            }
        }
        match Dockerd::start().await {
            Ok(dockerd) => {
                dockerd.stop().await?;
                self.dockerd = true;
            }
            Err(error) => self.absent.push(format!("{error:#}")),
        }
        Ok(self)
    }

    /// Why a peer is missing from the table.
    pub(crate) fn absent(&self) -> &[String] {
        &self.absent
    }

    /// Whether podman can run here.
    pub(crate) fn has_podman(&self) -> bool {
        self.podman.is_some()
    }

    /// `podman pull` into `place`, where podman can run.
    pub(crate) fn podman(&self, place: &Path, reference: &str) -> Option<Command> {
        Some(podman::pull(self.podman?, place, reference))
    }

    /// podman on an empty store, where it can run.
    pub(crate) fn podman_store(&self) -> Result<Option<Podman>> {
        let podman = self
            .podman
            .map(|driver| anyhow::Ok(Podman::new(driver, place()?)));
        podman.transpose()
    }

    /// containerd on an empty store, where it can run.
    pub(crate) async fn containerd(&self) -> Result<Option<Containerd>> {
        if !self.containerd {
            return Ok(None);
        }
        Containerd::start().await.map(Some)
    }

    /// dockerd on an empty store, where it can run.
    pub(crate) async fn dockerd(&self) -> Result<Option<Dockerd>> {
        if !self.dockerd {
            return Ok(None);
        }
        Dockerd::start().await.map(Some)
    }
}

/// `skopeo copy` into an OCI layout in `place`.
pub(crate) fn skopeo(place: &Path, reference: &str) -> Command {
    let mut skopeo = Command::new("skopeo");
    skopeo.args([
        "--insecure-policy",
        "copy",
        "--quiet",
        "--src-tls-verify=false",
    ]);
    skopeo
        .arg(format!("docker://{reference}"))
        .arg(format!("oci:{}:tag", place.join("layout").display()));
    skopeo
}

/// `strata pull` into a store in `place`.
pub(crate) fn strata(place: &Path, reference: &str) -> Result<Command> {
    strata_command(&place.join("store"), &["pull", reference])
}

/// `strata VERB ARGS` on this store.
pub(crate) fn strata_command(store: &Path, args: &[&str]) -> Result<Command> {
    let mut strata = server::command(&workspace::strata()?, &client::home()?);
    let (verb, rest) = args.split_first().context("no command")?;
    // Before the arguments: what follows a container's image is the container's command line.
    strata.arg(verb).arg("--store").arg(store).args(rest);
    Ok(strata)
}

/// Whether this build of the command knows `strata NAME`.
pub(crate) async fn knows(name: &str) -> Result<bool> {
    let mut strata = server::command(&workspace::strata()?, &client::home()?);
    Ok(strata
        .args([name, "--help"])
        .output()
        .await?
        .status
        .success())
}

/// A fresh folder on the disk the target folder is on: where /tmp is memory, syncing would cost nothing.
pub(crate) fn place() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in(workspace::cache("bench-cache")?)?)
}

/// Writes out what earlier runs left, so that no run pays for another's dirty pages.
pub(crate) async fn settle() -> Result<()> {
    Command::new("sync").status().await?;
    Ok(())
}

/// Runs a command to its successful end.
pub(crate) async fn measure(mut command: Command) -> Result<Run> {
    let program = command.as_std().get_program();
    let shown = format!("{program:?}");
    let asks = CLIENTS.iter().any(|client| program == *client);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let start = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("could not start {shown}"))?;
    let pid = child.id().context("it ended at once")?;
    let mut peak = 0;
    let end = child.wait_with_output();
    tokio::pin!(end);
    let output = loop {
        tokio::select! {
            output = &mut end => break output?,
            // The kernel keeps the high-water mark: looking now and then misses only the last moments.
            () = tokio::time::sleep(Duration::from_millis(5)) => peak = peak_memory(pid).unwrap_or(peak),
        }
    };
    let wall = start.elapsed();
    if !output.status.success() {
        bail!(
            "{shown} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let peak = if asks { 0 } else { peak };
    Ok(Run { wall, peak })
}

/// The run, if what it claims to have made can be found.
pub(crate) async fn with_look(run: Result<Run>, look: impl Fn() -> Command) -> Result<Run> {
    let run = run?;
    measure(look())
        .await
        .context("what was loaded is not there")?;
    Ok(run)
}

/// The most memory a process had, in bytes.
pub(crate) fn peak_memory(pid: u32) -> Result<u64> {
    memory(pid, Memory::Peak)
}

/// Sets the high-water mark back to what is used now.
pub(crate) fn reset_peak_memory(pid: u32) -> Result<()> {
    // 5: see proc_pid_clear_refs(5).
    std::fs::write(format!("/proc/{pid}/clear_refs"), "5")
        .context("could not reset the peak memory")
}
