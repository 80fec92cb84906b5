//! `strata serve` as a process: started on a port of the kernel's choosing, stopped by signal.

use crate::http::{Answer, Http, Streaming};
use crate::poll::{until, within};
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// For requests of a test's own.
    pub http: Http,
    /// `tcp://127.0.0.1:PORT`, for `DOCKER_HOST`.
    pub host: String,
    /// The unix socket it listens on too.
    pub socket: PathBuf,
    process: Child,
    folder: TempDir,
}

impl Server {
    /// Serves the store in `store` with further arguments, and waits until both listeners are ready.
    ///
    /// # Errors
    /// When the binary is not built, or ends before it listens: the text holds its log.
    pub async fn start(store: &Path, args: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("strata.sock");
        let log = std::fs::File::create(folder.path().join("log"))?;
        let mut process = command(&crate::workspace::strata()?, &crate::client::home()?)
            .args(["serve", "--listen", "tcp://127.0.0.1:0", "--listen"])
            .arg(format!("unix://{}", socket.display()))
            .arg("--store")
            .arg(store)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().context("no pipe from strata")?;
        let host = match within("strata to listen", listening(stdout)).await? {
            Ok(host) => host,
            Err(error) => bail!(
                "{error}:\n{}",
                std::fs::read_to_string(folder.path().join("log"))?
            ),
        };
        let http = Http::new(&host.replacen("tcp://", "http://", 1));
        Ok(Self {
            http,
            host,
            socket,
            process,
            folder,
        })
    }

    /// What it logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join("log"))?)
    }

    /// Its log, once it says `words`: a thread of its own writes it.
    ///
    /// # Errors
    /// When it never does.
    pub async fn logged(&self, words: &str) -> Result<String> {
        until(&format!("{words:?} in the log"), async || {
            self.log().ok().filter(|log| log.contains(words))
        })
        .await
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }

    /// Ends it the way a power cut would.
    ///
    /// # Errors
    /// When the signal cannot be sent.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: rustix::process::Signal) -> Result<()> {
        let pid = self
            .process
            .id()
            .and_then(|pid| rustix::process::Pid::from_raw(pid.cast_signed()));
        rustix::process::kill_process(pid.context("strata has ended")?, signal)?;
        Ok(())
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn terminate(self) -> Result<ExitStatus> {
        Ok(self.stop().await?.0)
    }

    /// The same, and what it logged to its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(self) -> Result<(ExitStatus, String)> {
        self.signal(rustix::process::Signal::TERM)?;
        self.ended().await
    }

    /// Waits for its end, and what it logged.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(mut self) -> Result<(ExitStatus, String)> {
        let status = within("strata to end", self.process.wait()).await??;
        Ok((status, self.log()?))
    }

    /// Pulls a reference (`name[:tag][@digest]`), the way the docker CLI asks for it.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn pull(&self, reference: &str) -> Result<Pulled> {
        self.pull_with(reference, &[]).await
    }

    /// Pulls with headers, such as `X-Registry-Auth`.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn pull_with(&self, reference: &str, headers: &[(&str, &str)]) -> Result<Pulled> {
        let path = pull_path(reference);
        let answer = self.http.send(Method::POST, &path, headers, "");
        Ok(Pulled::new(
            within(&format!("pull {reference}"), answer).await??,
        ))
    }

    /// Starts a pull and hands back the stream of its progress.
    ///
    /// # Errors
    /// When the connection fails.
    pub async fn open_pull(&self, reference: &str) -> Result<Streaming> {
        self.http
            .open(Method::POST, &pull_path(reference), &[], Bytes::new())
            .await
    }

    /// Whether it still answers.
    ///
    /// # Errors
    /// When it does not, with its log.
    pub async fn answers(&self) -> Result<()> {
        let answer = within("an answer to /_ping", self.http.get("/_ping")).await?;
        match answer {
            Ok(answer) if answer.status == 200 => Ok(()),
            Ok(answer) => bail!(
                "/_ping: {} {}\n{}",
                answer.status,
                answer.text(),
                self.log()?
            ),
            Err(error) => bail!("/_ping: {error:#}\n{}", self.log()?),
        }
    }
}

/// `POST /images/create` for a reference. All tags are pulled when it ends in `:*`.
#[must_use]
pub fn pull_path(reference: &str) -> String {
    let (name, tag) = match reference.split_once('@') {
        Some(parts) => parts,
        None => match reference.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            _ => (reference, "latest"),
        },
    };
    let name = escape(name);
    if tag == "*" {
        return format!("/images/create?fromImage={name}");
    }
    format!("/images/create?fromImage={name}&tag={}", escape(tag))
}

/// Percent-encodes a query value.
#[must_use]
pub fn escape(value: &str) -> String {
    utf8_percent_encode(value, NON_ALPHANUMERIC).to_string()
}

/// A finished pull.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// The whole answer.
    pub answer: Answer,
    /// The messages of the stream, in order; of an error answer, its one document.
    pub messages: Vec<Value>,
}

impl Pulled {
    fn new(answer: Answer) -> Self {
        let stream = serde_json::Deserializer::from_slice(&answer.body).into_iter();
        let messages = stream.map_while(Result::ok).collect();
        Self { answer, messages }
    }

    /// The error, by status or in the stream: a client cannot tell where it will come.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        if self.answer.status >= 400 {
            return text(&self.messages.first()?["message"]);
        }
        text(&self.messages.last()?["errorDetail"]["message"])
    }

    /// The `status` texts, in order.
    #[must_use]
    pub fn statuses(&self) -> Vec<&str> {
        self.messages
            .iter()
            .filter_map(|message| message["status"].as_str())
            .collect()
    }

    /// Nothing, if the pull succeeded.
    ///
    /// # Errors
    /// When it failed, or never said that it succeeded.
    pub fn ok(&self) -> Result<()> {
        let done = self
            .statuses()
            .last()
            .is_some_and(|status| status.starts_with("Status: "));
        if self.answer.status != 200 || self.error().is_some() || !done {
            bail!(
                "pull failed ({}): {}",
                self.answer.status,
                self.answer.text()
            );
        }
        Ok(())
    }

    /// The error's text.
    ///
    /// # Errors
    /// When the pull succeeded or broke off without a word.
    pub fn failed(&self) -> Result<String> {
        self.error()
            .with_context(|| format!("no error in: {}", self.answer.text()))
    }
}

/// `strata` with nobody's settings: an own home, no proxies, none of its variables.
#[must_use]
pub fn command(binary: &Path, home: &Path) -> Command {
    let mut strata = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        let lower = name.to_string_lossy().to_lowercase();
        let starts = ["strata_", "xdg_", "docker_"]
            .iter()
            .any(|start| lower.starts_with(start));
        if starts || lower.ends_with("_proxy") {
            strata.env_remove(&name);
        }
    }
    strata.env("HOME", home).env_remove("RUST_LOG");
    strata
}

/// The TCP address, once both listeners are announced.
async fn listening(stdout: tokio::process::ChildStdout) -> Result<String> {
    let mut lines = BufReader::new(stdout).lines();
    let (mut tcp, mut unix) = (None, false);
    while let Some(line) = lines.next_line().await? {
        match line.strip_prefix("listening on ") {
            Some(address) if address.starts_with("tcp://") => tcp = Some(address.to_owned()),
            Some(address) => unix = address.starts_with("unix://"),
            None => {}
        }
        if let (Some(tcp), true) = (&tcp, unix) {
            let tcp = tcp.clone();
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return Ok(tcp);
        }
    }
    bail!("strata ended before it listened")
}
