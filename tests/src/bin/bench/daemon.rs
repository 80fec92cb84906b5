//! containerd and dockerd on empty stores of their own, where they may run: both want root.

use crate::peer::place;
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Stdio;
use strata_tests::poll::{until, within};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A peer's server process.
struct Daemon {
    process: Child,
    /// Sockets, settings and log: below /tmp, as a socket's path must be short.
    folder: TempDir,
    /// What it stores.
    store: TempDir,
}

impl Daemon {
    /// Starts `program` and waits until `ready` succeeds.
    async fn start(
        program: &str,
        arguments: impl FnOnce(&mut Command, &TempDir, &TempDir) -> Result<()>,
        ready: impl Fn(&TempDir) -> Command,
    ) -> Result<Self> {
        let (folder, store) = (tempfile::tempdir()?, place()?);
        let log = folder.path().join("log");
        let mut command = Command::new(program);
        arguments(&mut command, &folder, &store)?;
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log)?)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("{program} is not installed"))?;
        let what = format!("{program} to answer");
        let started = until(&what, async || {
            if let Ok(Some(status)) = process.try_wait() {
                return Some(Err(anyhow::anyhow!("{program} ended with {status}")));
            }
            let asked = ready(&folder)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .await;
            match asked {
                Ok(status) => status.success().then_some(Ok(())),
                Err(error) => Some(Err(error.into())),
            }
        });
        if let Err(error) = started.await.and_then(|started| started) {
            let log = std::fs::read_to_string(&log).unwrap_or_default();
            let last = log.lines().last().unwrap_or_default();
            bail!("{program} cannot run here: {error:#}: {last}");
        }
        Ok(Self {
            process,
            folder,
            store,
        })
    }

    /// SIGTERM, so that it takes its mounts with it.
    async fn stop(mut self) -> Result<()> {
        let pid = self
            .process
            .id()
            .and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        rustix::process::kill_process(
            pid.context("the peer has ended")?,
            rustix::process::Signal::TERM,
        )?;
        within("a peer to end", self.process.wait()).await??;
        drop(self.store);
        Ok(())
    }
}

/// containerd, talked to by `ctr`.
pub(crate) struct Containerd(Daemon);

impl Containerd {
    pub(crate) async fn start() -> Result<Self> {
        let arguments = |command: &mut Command, folder: &TempDir, store: &TempDir| {
            let settings = folder.path().join("config.toml");
            let text = format!(
                "version = 2\nroot = {:?}\nstate = {:?}\n\
                 disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = {:?}\n",
                store.path().join("root"),
                folder.path().join("state"),
                folder.path().join("socket"),
            );
            std::fs::write(&settings, text)?;
            command.arg("--config").arg(settings);
            Ok(())
        };
        let ready = |folder: &TempDir| {
            let mut ready = ctr(folder);
            ready.arg("version");
            ready
        };
        Ok(Self(Daemon::start("containerd", arguments, ready).await?))
    }

    pub(crate) fn ctr(&self, args: &[&str]) -> Command {
        let mut ctr = ctr(&self.0.folder);
        ctr.args(args);
        ctr
    }

    fn socket(&self) -> PathBuf {
        self.0.folder.path().join("socket")
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.0.stop().await
    }
}

fn ctr(folder: &TempDir) -> Command {
    let mut ctr = Command::new("ctr");
    ctr.arg("--address").arg(folder.path().join("socket"));
    ctr
}

/// dockerd over a containerd of its own, talked to by the docker CLI.
pub(crate) struct Dockerd {
    daemon: Daemon,
    containerd: Containerd,
}

impl Dockerd {
    pub(crate) async fn start() -> Result<Self> {
        let containerd = Containerd::start().await?;
        let arguments = |command: &mut Command, folder: &TempDir, store: &TempDir| {
            command
                .arg("--data-root")
                .arg(store.path().join("root"))
                .arg("--exec-root")
                .arg(folder.path().join("exec"))
                .arg("--pidfile")
                .arg(folder.path().join("pid"))
                .arg("--host")
                .arg(format!("unix://{}", folder.path().join("socket").display()))
                .arg("--containerd")
                .arg(containerd.socket())
                // No container gets a network: the machine's own is left as it is.
                .args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
            Ok(())
        };
        let ready = |folder: &TempDir| {
            let mut ready = docker(folder);
            ready.arg("version");
            ready
        };
        let daemon = Daemon::start("dockerd", arguments, ready).await?;
        Ok(Self { daemon, containerd })
    }

    pub(crate) fn docker(&self, args: &[&str]) -> Command {
        let mut docker = docker(&self.daemon.folder);
        docker.args(args);
        docker
    }

    pub(crate) async fn stop(self) -> Result<()> {
        self.daemon.stop().await?;
        self.containerd.stop().await
    }
}

fn docker(folder: &TempDir) -> Command {
    let mut docker = Command::new("docker");
    docker
        .env(
            "DOCKER_HOST",
            format!("unix://{}", folder.path().join("socket").display()),
        )
        .env("DOCKER_CONFIG", folder.path());
    docker
}
