//! A registry that commits faults, to the byte and on command, and remembers every request. Images are pulled from it
//! and pushed to it.
//!
//! It writes HTTP/1.1 by hand: an honest HTTP library refuses to lie about a length or to stop in mid-body.
//! It is for faults only; what works is tested against the real `docker-registry`.

mod answer;
mod auth;
mod route;
mod script;
mod upload;
mod wire;

pub use auth::{Access, Tokens};
pub use script::{Fault, Gate, Phase, Rule};

use crate::image::{Blob, Image};
use crate::poll::until;
use anyhow::{Context, Result};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A running registry on a loopback port. It ends when dropped.
#[derive(Debug)]
pub struct FaultRegistry {
    /// `127.0.0.1:PORT`, as it stands in a reference.
    pub host: String,
    state: Arc<Mutex<State>>,
    listener: JoinHandle<()>,
}

/// One request, as it was seen.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What it was for.
    pub phase: Phase,
    /// Method.
    pub method: String,
    /// Path without the query.
    pub path: String,
    /// Query, without the question mark.
    pub query: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body; empty for content, of which only the length is kept.
    pub body: String,
    /// Bytes of the body that were read.
    pub length: usize,
    /// Status of the answer; 0 if the connection was cut before it.
    pub status: u16,
}

impl Seen {
    /// A header's value.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        wire::header(&self.headers, name)
    }
}

/// Content, script and log behind one listener.
#[derive(Debug, Default)]
struct State {
    base: String,
    blobs: HashMap<String, Bytes>,
    /// Which repositories have which blobs, as `repository@digest`.
    held: HashSet<String>,
    /// Bytes of the uploads that are open, by number.
    uploads: HashMap<String, Vec<u8>>,
    opened: usize,
    configs: HashSet<String>,
    /// Keyed by `repository@digest` and `repository:tag`.
    manifests: HashMap<String, Blob>,
    rules: Vec<Rule>,
    access: Access,
    issued: auth::Issued,
    log: Vec<Seen>,
}

impl FaultRegistry {
    /// A registry at 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> Result<Self> {
        Self::start_at("127.0.0.1").await
    }

    /// A registry at another loopback address: another host, for redirects across hosts.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start_at(address: &str) -> Result<Self> {
        let listener = TcpListener::bind((address, 0))
            .await
            .context("no loopback port")?;
        let host = listener.local_addr()?.to_string();
        let state = State {
            base: format!("http://{host}"),
            ..State::default()
        };
        let state = Arc::new(Mutex::new(state));
        let served = Arc::clone(&state);
        let listener = tokio::spawn(async move {
            // Dropped with this task: a test's registry takes its open connections with it.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(answer::serve(stream, Arc::clone(&served)));
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            host,
            state,
            listener,
        })
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.host)
    }

    /// Holds an image under `repository:tag` and returns the reference a client pulls.
    pub fn add(&self, repository: &str, tag: &str, image: &Image) -> String {
        let mut state = lock(&self.state);
        for config in &image.configs {
            state.configs.insert(config.digest.clone());
        }
        for blob in image.configs.iter().chain(&image.layers) {
            state.blobs.insert(blob.digest.clone(), blob.bytes.clone());
            state.held.insert(format!("{repository}@{}", blob.digest));
        }
        drop(state);
        for manifest in &image.manifests {
            self.add_manifest(repository, &manifest.digest, manifest);
        }
        self.add_manifest(repository, tag, &image.root)
    }

    /// Holds any bytes as a manifest under a tag (and their digest), valid or not.
    pub fn add_manifest(&self, repository: &str, tag: &str, manifest: &Blob) -> String {
        let mut state = lock(&self.state);
        state.manifests.insert(
            format!("{repository}@{}", manifest.digest),
            manifest.clone(),
        );
        state
            .manifests
            .insert(format!("{repository}:{tag}"), manifest.clone());
        format!("{}/{repository}:{tag}", self.host)
    }

    /// Holds any bytes as a blob under any digest, true or not. To fetch it one must know it: no repository says that
    /// it has it.
    pub fn add_blob(&self, digest: &str, bytes: impl Into<Bytes>) {
        lock(&self.state)
            .blobs
            .insert(digest.to_owned(), bytes.into());
    }

    /// The digest a tag points at, of an image that is all there; `None` if there is no such tag.
    ///
    /// # Errors
    /// When something of the image is missing or is not what its digest says.
    pub fn tagged(&self, repository: &str, tag: &str) -> Result<Option<String>> {
        let state = lock(&self.state);
        let Some(root) = state.manifests.get(&format!("{repository}:{tag}")) else {
            return Ok(None);
        };
        upload::check(&state, repository, root)?;
        Ok(Some(root.digest.clone()))
    }

    /// Adds a rule; earlier rules go first.
    pub fn rule(&self, rule: Rule) -> &Self {
        lock(&self.state).rules.push(rule);
        self
    }

    /// Commits a fault at every request of a phase.
    pub fn always(&self, phase: Phase, fault: Fault) -> &Self {
        self.rule(Rule::new(phase, fault))
    }

    /// Commits a fault at the next request of a phase only.
    pub fn once(&self, phase: Phase, fault: Fault) -> &Self {
        self.rule(Rule::new(phase, fault).times(1))
    }

    /// Rules that no request has met so far: a script of such tests nothing.
    #[must_use]
    pub fn unmet(&self) -> Vec<Rule> {
        let rules = lock(&self.state).rules.clone();
        rules.into_iter().filter(|rule| !rule.met).collect()
    }

    /// Forgets all rules: from now on everything is answered as it should be.
    pub fn behave(&self) {
        lock(&self.state).rules.clear();
    }

    /// Asks for credentials from now on.
    pub fn protect(&self, access: Access) {
        lock(&self.state).access = access;
    }

    /// All requests so far, in order of arrival.
    #[must_use]
    pub fn log(&self) -> Vec<Seen> {
        lock(&self.state).log.clone()
    }

    /// Requests of a phase so far.
    #[must_use]
    pub fn seen(&self, phase: Phase) -> Vec<Seen> {
        self.log()
            .into_iter()
            .filter(|seen| seen.phase == phase)
            .collect()
    }

    /// `GET`s of one blob so far.
    #[must_use]
    pub fn fetches(&self, digest: &str) -> Vec<Seen> {
        let wanted = |seen: &Seen| seen.method == "GET" && seen.path.ends_with(digest);
        self.log().into_iter().filter(wanted).collect()
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        lock(&self.state).log.clear();
    }

    /// Waits until `count` requests of a phase were seen.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn wait_for(&self, phase: Phase, count: usize) -> Result<()> {
        let what = format!("{count} requests of {phase:?}");
        until(&what, async || {
            (self.seen(phase).len() >= count).then_some(())
        })
        .await
    }
}

impl Drop for FaultRegistry {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
