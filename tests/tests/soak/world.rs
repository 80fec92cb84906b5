//! What all workers share: the store, the registry, images to meet, and the server of the present round.

use crate::tally::Tally;
use anyhow::{Context, Result, bail};
use bytes::Bytes;
use hyper::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use strata_tests::client::Output;
use strata_tests::debian::{Content, Entry};
use strata_tests::http::{Answer, Http};
use strata_tests::image::{Image, Schema};
use strata_tests::layer::{Compression, Layer};
use strata_tests::poll::within;
use strata_tests::registry::Registry;
use strata_tests::server::Server;
use tempfile::TempDir;
use tokio::sync::watch;

/// More than a connection's buffers take, so that a client that stops reading stops its sender.
pub(crate) const LARGE: usize = 24 << 20;
/// What the server is given where memory is scarce: enough for everything but the heavy image.
const MEMORY: &str = "8MiB";
/// What it is given for all where places are: two may run at once, whatever is said.
const TOTAL_MEMORY: &str = "1MiB";
/// Longer than a client that stands still has while others wait for its place.
const STALL: &str = "4";

/// What lasts for the whole run.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    pub(crate) registry: Registry,
    pub(crate) tally: Tally,
    /// The lowest layer of all workers' images.
    pub(crate) base: Layer,
    /// Pulled at first and never removed: too large for a connection's buffers.
    pub(crate) large: String,
    /// An image whose config takes more memory than [`MEMORY`].
    pub(crate) heavy: Image,
    /// Files whose names take more than a second to look at.
    pub(crate) deep: Bytes,
    /// Of all servers and commands that have ended.
    logs: Mutex<String>,
}

impl World {
    pub(crate) async fn new() -> Result<Self> {
        let registry = Registry::start().await?;
        let base = Layer::from_package("base-files", Compression::Gzip)?;
        let large = Image::builder(Schema::Oci)
            .layer(Layer::noise(1, LARGE)?, "COPY large /")
            .build();
        let large = registry.push("soak/shared/large", "1", &large).await?;
        let heavy = Image::builder(Schema::Oci)
            .layer(base.clone(), "COPY base-files /")
            .labels(json!({ "heavy": "x".repeat(3 << 20) }))
            .build();
        Ok(Self {
            folder: tempfile::tempdir()?,
            registry,
            tally: Tally::default(),
            base,
            large,
            heavy,
            deep: deep()?.into(),
            logs: Mutex::default(),
        })
    }

    pub(crate) fn store(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps what a program said.
    pub(crate) fn said(&self, text: &str) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.push_str(text);
    }

    /// A command beside the server, which nothing may stop from doing its work.
    pub(crate) async fn command(&self, what: &'static str, args: &[&str]) -> Result<Output> {
        let store = self.store().display().to_string();
        let output = strata_tests::client::strata(&[args, &["--store", &store]].concat()).await?;
        self.said(&output.stderr);
        self.tally.operation(what);
        Ok(output)
    }

    /// Nothing of all that is strata's fault.
    pub(crate) fn is_quiet(&self) -> Result<()> {
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let loud: Vec<&str> = logs.lines().filter(|line| is_loud(line)).collect();
        if !loud.is_empty() {
            bail!("logged:\n{}", loud.join("\n"));
        }
        Ok(())
    }
}

fn is_loud(line: &str) -> bool {
    let words = ["ERROR", "panicked", "wasm backtrace", "wasm trap"];
    words.iter().any(|word| line.contains(word))
}

/// Names of two thousand parts, by turns below two folders, so that each is looked at from its first part on.
fn deep() -> Result<Vec<u8>> {
    let parts = "c/".repeat(2020);
    let entries = (0..4000).map(|number| Entry {
        path: format!("deep/{}/{parts}{number}", ["a", "b"][number % 2]),
        mode: 0o644,
        content: Content::File(Bytes::new()),
    });
    // Not sorted: that would bring together what is below one folder.
    let mut tar = tar::Builder::new(Vec::new());
    for entry in entries {
        strata_tests::layer::append(&mut tar, &entry)?;
    }
    Ok(tar.into_inner()?)
}

/// What is scarce in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scarce {
    Nothing,
    Memory,
    Time,
    Patience,
    Places,
    Everything,
}

impl Scarce {
    pub(crate) fn args(self) -> Vec<&'static str> {
        let mut args = Vec::new();
        for (scarce, option, value) in [
            (self.memory(), "--memory-limit", MEMORY),
            (self.time(), "--compute-limit", "1"),
            (self.patience(), "--stall-limit", "1"),
            (self.places(), "--total-memory-limit", TOTAL_MEMORY),
            (self.places(), "--stall-limit", STALL),
        ] {
            if scarce {
                args.extend([option, value]);
            }
        }
        args
    }

    pub(crate) fn memory(self) -> bool {
        matches!(self, Self::Memory | Self::Everything)
    }

    pub(crate) fn time(self) -> bool {
        matches!(self, Self::Time | Self::Everything)
    }

    pub(crate) fn patience(self) -> bool {
        matches!(self, Self::Patience | Self::Everything)
    }

    pub(crate) fn places(self) -> bool {
        self == Self::Places
    }

    /// What an operation may be told instead of its result.
    fn cuts(self) -> Vec<(&'static str, &'static str)> {
        let mut cuts = Vec::new();
        if self.memory() {
            cuts.push(("--memory-limit", "ended by the memory limit"));
        }
        if self.time() {
            cuts.push(("--compute-limit", "ended by the compute limit"));
        }
        if self.patience() || self.places() {
            cuts.push(("--stall-limit", "ended by the stall limit"));
        }
        cuts
    }
}

/// The server of a round, as its clients see it.
pub(crate) struct Seat {
    pub(crate) http: Http,
    pub(crate) host: String,
    pub(crate) scarce: Scarce,
    world: Arc<World>,
    gone: AtomicBool,
    running: AtomicUsize,
    begun: watch::Sender<usize>,
}

impl Seat {
    pub(crate) fn new(world: &Arc<World>, server: &Server, scarce: Scarce) -> Self {
        Self {
            http: server.http.clone(),
            host: server.host.clone(),
            scarce,
            world: Arc::clone(world),
            gone: AtomicBool::new(false),
            running: AtomicUsize::new(0),
            begun: watch::Sender::new(0),
        }
    }

    /// Waits until this many requests were begun.
    pub(crate) async fn begun(&self, count: usize) {
        // The sender is ours: waiting ends only so.
        let _ = self
            .begun
            .subscribe()
            .wait_for(|begun| *begun >= count)
            .await;
    }

    /// From now on nobody is surprised that it does not answer. How many requests it is at.
    pub(crate) fn goes(&self) -> usize {
        self.gone.store(true, Ordering::SeqCst);
        self.running.load(Ordering::SeqCst)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::SeqCst)
    }

    /// The whole answer; none if the operation was cut, by a fault that was meant to be.
    ///
    /// # Errors
    /// When it was cut otherwise, or the server says that it is at fault.
    pub(crate) async fn ask(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Option<Answer>> {
        let headers: &[(&str, &str)] = match method {
            // A tar has no such type, but nobody looks at it there.
            Method::POST => &[
                ("content-type", "application/json"),
                ("x-registry-auth", "e30="),
            ],
            _ => &[],
        };
        self.begun.send_modify(|begun| *begun += 1);
        self.running.fetch_add(1, Ordering::SeqCst);
        let answer = within(what, self.http.send(method, path, headers, body)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        let answer = match answer? {
            Ok(answer) => answer,
            Err(_) if self.is_gone() => return Ok(self.cut("ended with the server")),
            Err(_) if self.scarce != Scarce::Nothing => return Ok(self.cut("broken off")),
            Err(error) => return Err(error.context(format!("{what} {path}"))),
        };
        if answer.status == 503 {
            let after = answer.header("retry-after").parse::<u32>();
            after.with_context(|| format!("{what} {path}: 503 without Retry-After"))?;
            return Ok(self.cut("turned away"));
        }
        if answer.status >= 400 || answer.header("content-type") == "application/json" {
            let text = answer.text();
            let mut cuts = self.scarce.cuts().into_iter();
            if let Some((_, fault)) = cuts.find(|(word, _)| text.contains(word)) {
                return Ok(self.cut(fault));
            }
        }
        if answer.status == 500 {
            bail!("{what} {path}: 500 {}", answer.text());
        }
        self.world.tally.operation(what);
        Ok(Some(answer))
    }

    fn cut(&self, fault: &'static str) -> Option<Answer> {
        self.world.tally.fault(fault);
        None
    }
}

/// The messages of a stream that says that all is well.
pub(crate) fn messages(answer: &Answer) -> Result<Vec<Value>> {
    let stream = serde_json::Deserializer::from_slice(&answer.body).into_iter();
    let messages: Vec<Value> = stream.collect::<Result<_, _>>().context(answer.text())?;
    let failed = |message: &Value| message.get("errorDetail").is_some();
    if answer.status != 200 || messages.iter().any(failed) {
        bail!("{}: {}", answer.status, answer.text());
    }
    Ok(messages)
}
