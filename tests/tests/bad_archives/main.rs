//! Archives that are broken or mean harm, sent to the real server: each is refused in words that name what is wrong,
//! nothing becomes visible, prune gives back every byte, and the server goes on within its memory.

mod content;
mod large;
mod load;
mod patient;
mod root_files;
mod tape;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use patient::Patient;
use serde_json::Value;
use strata_tests::fault::FaultRegistry;
use strata_tests::http::Answer;
use strata_tests::image::small;
use strata_tests::poll::{until, within};
use strata_tests::server::Server;
use strata_tests::store;
use tempfile::TempDir;

/// The most memory a server may ever have had, in KiB, whatever it was sent: some 45 MiB it has when idle, the 32 MiB
/// that names of files may take and what holds them, and a fifth for what differs from machine to machine.
const MOST_MEMORY: u64 = 112 << 10;
/// Bytes sent at once.
const PIECE: usize = 256 << 10;

/// A server with one image, and what it looked like before anything bad came.
struct House {
    server: Server,
    store: TempDir,
    /// The image's name.
    image: String,
    before: Look,
}

/// What can be seen of a server, and what prune leaves of its store.
#[derive(Debug, Default, PartialEq)]
struct Look {
    list: Value,
    blobs: Vec<String>,
    weight: u64,
}

/// What a server made of an archive.
struct Verdict {
    answer: Answer,
    error: Option<String>,
}

impl House {
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        let registry = FaultRegistry::start().await?;
        let image = registry.add("kept/image", "1", &small("kept")?);
        server.pull(&image).await?.ok()?;
        // The first names the projection of names; wait for it, so that its bytes are counted.
        store::settles(store.path()).await?;
        until("the name to be seen", async || {
            store::names(store.path())
                .ok()
                .filter(|names| names.len() == 1)
        })
        .await?;
        let mut house = Self {
            server,
            store,
            image,
            before: Look::default(),
        };
        house.before = house.look().await?;
        // What starting took is not what archives take.
        let pid = house.server.pid();
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        Ok(house)
    }

    /// `POST /images/load`.
    async fn load(&self, pieces: impl Iterator<Item = Bytes> + Send + 'static) -> Result<Verdict> {
        self.send(Method::POST, "/images/load?quiet=1", pieces)
            .await
    }

    /// Sends a body piece by piece, as it is made: none of these archives is ever in memory as a whole.
    async fn send(
        &self,
        method: Method,
        path: &str,
        pieces: impl Iterator<Item = Bytes> + Send + 'static,
    ) -> Result<Verdict> {
        let address = self.server.host.trim_start_matches("tcp://");
        let stream = tokio::net::TcpStream::connect(address).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(Patient(stream))).await?;
        tokio::spawn(connection);
        let frames = pieces.map(|piece| Ok::<_, std::io::Error>(Frame::data(piece)));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "strata")
            .header("content-type", "application/x-tar")
            .body(StreamBody::new(stream::iter(frames)))?;
        let answer = within("an answer", async {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            anyhow::Ok(Answer {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: body.collect().await?.to_bytes(),
            })
        });
        let answer = answer.await?.context("the server broke off")?;
        let messages = serde_json::Deserializer::from_slice(&answer.body).into_iter();
        let messages: Vec<Value> = messages.map_while(Result::ok).collect();
        let error = match answer.status >= 400 {
            true => messages.first().map(|message| &message["message"]),
            false => messages
                .last()
                .map(|message| &message["errorDetail"]["message"]),
        };
        let error = error.and_then(Value::as_str).map(str::to_owned);
        Ok(Verdict { answer, error })
    }

    /// How it looks now, after a prune.
    async fn look(&self) -> Result<Look> {
        let pruned = self.server.http.post("/images/prune").await?;
        pruned.expect_status(&[200])?;
        Ok(Look {
            list: self.server.http.get("/images/json?all=1").await?.json()?,
            blobs: store::blobs(self.store.path())?,
            weight: store::content_size(self.store.path())?,
        })
    }

    /// Nothing more is visible than was, and after a prune nothing more is there.
    async fn is_as_before(&self) -> Result<()> {
        let list = self.server.http.get("/images/json?all=1").await?.json()?;
        ensure!(list == self.before.list, "the list changed: {list}");
        let mut last = Look::default();
        // A blob that was being written when the archive turned out bad may come just after a prune.
        let back = until("all bytes to be given back", async || {
            last = self.look().await.ok()?;
            (last == self.before).then_some(())
        });
        let back = back.await;
        back.with_context(|| format!("{last:?} is left of {:?}", self.before))?;
        self.server.answers().await
    }

    /// After all of it: no trap, no panic, no more memory than is allowed, and a store that holds.
    async fn is_well(&self) -> Result<()> {
        self.server.answers().await?;
        let log = self.server.log()?;
        for word in ["trap", "panic", "unreachable", "wasm"] {
            ensure!(!log.to_lowercase().contains(word), "the log says:\n{log}");
        }
        store::settles(self.store.path()).await?;
        let peak = peak(&self.server)?;
        ensure!(
            peak <= MOST_MEMORY,
            "{peak} KiB of memory, {MOST_MEMORY} are allowed"
        );
        Ok(())
    }
}

impl Verdict {
    /// The error, which must contain all of these.
    fn names(&self, words: &[&str]) -> Result<()> {
        let Some(error) = &self.error else {
            bail!("no error ({}): {}", self.answer.status, self.answer.text());
        };
        for word in words {
            ensure!(
                error.contains(word),
                "the error does not name {word:?}: {error}"
            );
        }
        for word in ["wasm", "panic", "unreachable", "backtrace"] {
            ensure!(!error.contains(word), "the guest trapped: {error}");
        }
        Ok(())
    }

    fn ok(&self) -> Result<()> {
        ensure!(
            self.answer.status < 300 && self.error.is_none(),
            "refused ({}): {}",
            self.answer.status,
            self.answer.text()
        );
        Ok(())
    }
}

/// Bytes as pieces.
fn pieces(bytes: Vec<u8>) -> impl Iterator<Item = Bytes> + Send + 'static {
    let bytes = Bytes::from(bytes);
    let starts = (0..bytes.len()).step_by(PIECE);
    starts.map(move |start| bytes.slice(start..(start + PIECE).min(bytes.len())))
}

/// The most memory a server has had since it was last asked to forget, in KiB.
fn peak(server: &Server) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let line = line.context("the kernel does not tell the peak of memory")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// All that went wrong, as one error.
fn all(wrong: Vec<String>) -> Result<()> {
    ensure!(
        wrong.is_empty(),
        "{} cases went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}
