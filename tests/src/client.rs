//! The real clients: the docker CLI with a configuration of its own, and skopeo.

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// What a client printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// Exit status; -1 when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard output as it came: an archive is no text.
    pub bytes: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output without its last line break, if the command succeeded.
    ///
    /// # Errors
    /// When it failed: the text holds everything it printed.
    pub fn ok(self) -> Result<String> {
        if self.status != 0 {
            bail!(
                "`{}` ended with {}:\n{}{}",
                self.command,
                self.status,
                self.stdout,
                self.stderr
            );
        }
        Ok(self.stdout.trim_end_matches('\n').to_owned())
    }

    /// Standard output as it came, if the command succeeded.
    ///
    /// # Errors
    /// When it failed: the text holds what it complained about.
    pub fn archive(self) -> Result<Vec<u8>> {
        if self.status != 0 {
            bail!(
                "`{}` ended with {}:\n{}",
                self.command,
                self.status,
                self.stderr
            );
        }
        Ok(self.bytes)
    }

    /// Standard error, trimmed, if the command failed.
    ///
    /// # Errors
    /// When it succeeded.
    pub fn failed(self) -> Result<String> {
        if self.status == 0 {
            bail!("`{}` succeeded:\n{}", self.command, self.stdout);
        }
        Ok(self.stderr.trim().to_owned())
    }
}

/// The docker CLI, talking to one server.
#[derive(Debug)]
pub struct Docker {
    host: String,
    config: TempDir,
    verifies: bool,
}

impl Docker {
    /// A CLI for `DOCKER_HOST=host`, with an empty configuration.
    ///
    /// # Errors
    /// When its configuration folder cannot be made.
    pub fn new(host: &str) -> Result<Self> {
        Ok(Self {
            host: host.to_owned(),
            config: tempfile::tempdir()?,
            verifies: false,
        })
    }

    /// The same with `DOCKER_TLS_VERIFY=1`; the certificates are in its configuration folder.
    #[must_use]
    pub fn verifying(self) -> Self {
        Self {
            verifies: true,
            ..self
        }
    }

    /// Its configuration folder (`DOCKER_CONFIG`).
    #[must_use]
    pub fn config(&self) -> &Path {
        self.config.path()
    }

    /// Runs `docker ARGS`.
    ///
    /// # Errors
    /// When docker is not installed.
    pub async fn run(&self, args: &[&str]) -> Result<Output> {
        output(&mut self.command(args), &[]).await
    }

    /// Runs `docker ARGS` and writes `input` to its standard input.
    ///
    /// # Errors
    /// When docker is not installed.
    pub async fn fed(&self, args: &[&str], input: &[u8]) -> Result<Output> {
        output(&mut self.command(args), input).await
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut docker = Command::new("docker");
        docker
            .args(args)
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", self.config.path());
        // Set by a developer's shell, these would change what is printed or sent.
        for name in [
            "DOCKER_API_VERSION",
            "DOCKER_CONTEXT",
            "DOCKER_DEFAULT_PLATFORM",
            "DOCKER_CONTENT_TRUST",
        ] {
            docker.env_remove(name);
        }
        docker.env("DOCKER_CLI_HINTS", "false");
        match self.verifies {
            true => docker
                .env("DOCKER_TLS_VERIFY", "1")
                .env("DOCKER_CERT_PATH", self.config.path()),
            false => docker
                .env_remove("DOCKER_TLS_VERIFY")
                .env_remove("DOCKER_CERT_PATH"),
        };
        docker
    }
}

/// Runs `skopeo ARGS` without a trust policy file.
///
/// # Errors
/// When skopeo is not installed.
pub async fn skopeo(args: &[&str]) -> Result<Output> {
    let mut skopeo = Command::new("skopeo");
    output(skopeo.arg("--insecure-policy").args(args), &[]).await
}

/// Runs `strata ARGS`, without a server, in a home of its own.
///
/// # Errors
/// When the binary is not built.
pub async fn strata(args: &[&str]) -> Result<Output> {
    strata_fed(args, &[]).await
}

/// As [`strata`], with `input` on its standard input.
///
/// # Errors
/// When the binary is not built.
pub async fn strata_fed(args: &[&str], input: &[u8]) -> Result<Output> {
    let mut strata = crate::server::command(&crate::workspace::strata()?, &home()?);
    output(strata.args(args), input).await
}

/// Runs any other program, such as GNU tar.
///
/// # Errors
/// When it is not installed.
pub async fn program(name: &str, args: &[&str], input: &[u8]) -> Result<Output> {
    output(Command::new(name).args(args), input).await
}

/// A home folder without anyone's settings in it.
///
/// # Errors
/// When it cannot be made.
pub fn home() -> Result<PathBuf> {
    crate::workspace::cache("test-cache/home")
}

async fn output(command: &mut Command, input: &[u8]) -> Result<Output> {
    let shown = std::iter::once(command.as_std().get_program())
        .chain(command.as_std().get_args())
        .map(|arg| arg.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    let stdin = if input.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let mut process = command
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("could not start `{shown}`"))?;
    let pipe = process.stdin.take();
    // Both at once, or a full pipe would stop the program. One that has enough of its input may close it.
    let feed = async {
        if let Some(mut pipe) = pipe {
            let _ = pipe.write_all(input).await;
        }
    };
    let ended = async { tokio::join!(process.wait_with_output(), feed).0 };
    let output = crate::poll::within(&shown, ended).await??;
    Ok(Output {
        command: shown,
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        bytes: output.stdout,
    })
}
