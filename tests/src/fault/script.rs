//! What to do wrong, where, and how often.

use super::Seen;
use crate::image::Blob;
use std::sync::Arc;
use tokio::sync::watch;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// `GET /v2/`.
    Ping,
    /// The token server.
    Token,
    /// `HEAD` of a manifest.
    Head,
    /// `GET` of a manifest or index.
    Manifest,
    /// `GET` of a blob that is an image config.
    Config,
    /// `GET` of any other blob.
    Layer,
    /// `HEAD` of a blob.
    BlobHead,
    /// The list of tags.
    Tags,
    /// `POST` that asks for a blob of another repository.
    Mount,
    /// `POST` that opens an upload.
    Upload,
    /// `GET` of an upload: how far it is.
    UploadStatus,
    /// `PATCH` of an upload: a part of a blob.
    Chunk,
    /// `PUT` that ends an upload, with the whole blob or with none of it.
    Finish,
    /// `PUT` of a manifest or index.
    Publish,
    /// Anything else.
    Other,
}

/// One way of answering wrongly. Lengths count body bytes.
///
/// Another status and a redirect refuse: nothing of what was asked for is done. All others spoil an answer to what
/// was done.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Another status, with headers and a body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Closes the connection without an answer.
    HangUp,
    /// Declares the full length, sends this much, closes the connection.
    Cut(usize),
    /// Sends this much of the answer's head, closes the connection.
    CutHead(usize),
    /// Reads this much of the request's body, closes the connection. An upload keeps what came, nothing else is done.
    CutRequest(usize),
    /// Forgets the upload that the request is about, then answers as a registry without it does.
    LoseUpload,
    /// Forgets all blobs of the repository, then answers as a registry without them does.
    LoseBlobs,
    /// Right length, wrong bytes.
    Corrupt,
    /// A well-formed answer with only this much of the body.
    Short(usize),
    /// A well-formed answer with bytes after the true end.
    Long(usize),
    /// Declares a length that is off by this much; the body is whole.
    LyingLength(i64),
    /// Sends this much, then waits for the gate to open.
    Hold(usize, Gate),
    /// Waits for the gate to open, then answers.
    Stall(Gate),
    /// `Location`, with this status.
    Redirect(u16, String),
    /// A redirect to this path on this server.
    RedirectToSelf,
    /// Answers 200 with the whole body, whatever the `Range`.
    IgnoreRange,
    /// Answers 416 to any `Range`.
    RefuseRange,
    /// Answers 206 from byte 0 under a `Content-Range` that says so, whatever was asked.
    WrongRange,
    /// Leaves a header out.
    Without(&'static str),
    /// Adds or replaces a header.
    With(&'static str, String),
    /// Answers with this document.
    Instead(Blob),
    /// Answers in chunks, without a length.
    Chunked,
}

impl Fault {
    /// An OCI error answer.
    #[must_use]
    pub fn error(status: u16, code: &str, message: &str) -> Self {
        let body = format!(r#"{{"errors":[{{"code":"{code}","message":"{message}"}}]}}"#);
        Self::Status(
            status,
            vec![("Content-Type", "application/json".to_owned())],
            body,
        )
    }

    /// A bare status.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Status(status, Vec::new(), String::new())
    }

    /// 429, with or without `Retry-After`.
    #[must_use]
    pub fn too_many_requests(retry_after: Option<&str>) -> Self {
        let mut headers = vec![("Content-Type", "application/json".to_owned())];
        headers.extend(retry_after.map(|value| ("Retry-After", value.to_owned())));
        let body = r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"too many requests"}]}"#;
        Self::Status(429, headers, body.to_owned())
    }
}

/// A fault, the requests it meets, and how many of them.
#[derive(Clone, Debug)]
pub struct Rule {
    phase: Phase,
    about: Option<String>,
    left: usize,
    /// Whether it has met a request.
    pub(super) met: bool,
    fault: Fault,
}

impl Rule {
    /// Every request of a phase.
    #[must_use]
    pub fn new(phase: Phase, fault: Fault) -> Self {
        Self {
            phase,
            about: None,
            left: usize::MAX,
            met: false,
            fault,
        }
    }

    /// Only the next `count` requests.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.left = count;
        self
    }

    /// Only requests whose path contains `part`: a repository, tag or digest.
    #[must_use]
    pub fn about(mut self, part: &str) -> Self {
        self.about = Some(part.to_owned());
        self
    }

    /// The fault for a request, counting it.
    pub(super) fn take(&mut self, seen: &Seen) -> Option<Fault> {
        let about = self
            .about
            .as_ref()
            .is_none_or(|part| seen.path.contains(part.as_str()));
        if self.phase != seen.phase || !about || self.left == 0 {
            return None;
        }
        self.left = self.left.saturating_sub(1);
        self.met = true;
        Some(self.fault.clone())
    }
}

/// A point a test waits for and holds: whoever arrives says so, and waits until the gate is opened.
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: Arc<watch::Sender<usize>>,
    left: Arc<watch::Sender<usize>>,
    opened: Arc<watch::Sender<bool>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            arrived: Arc::new(watch::Sender::new(0)),
            left: Arc::new(watch::Sender::new(0)),
            opened: Arc::new(watch::Sender::new(false)),
        }
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until `count` answers stand at the gate, or have.
    ///
    /// # Errors
    /// When they do not come.
    pub async fn reached(&self, count: usize) -> anyhow::Result<()> {
        let mut arrived = self.arrived.subscribe();
        let there = arrived.wait_for(|there| *there >= count);
        crate::poll::within("an answer to reach the gate", there).await??;
        Ok(())
    }

    /// Waits until `count` of those whose answer stands at the gate have closed their connection.
    ///
    /// # Errors
    /// When they stay.
    pub async fn left(&self, count: usize) -> anyhow::Result<()> {
        let mut left = self.left.subscribe();
        let gone = left.wait_for(|gone| *gone >= count);
        crate::poll::within("a client to leave the gate", gone).await??;
        Ok(())
    }

    /// Lets all pass, now and later.
    pub fn open(&self) {
        self.opened.send_replace(true);
    }

    /// Waits until the gate is opened, and says whether the one who waits is still there: `gone` ends
    /// when it is not.
    pub(super) async fn pass(&self, gone: impl Future<Output = ()>) -> bool {
        self.arrived.send_modify(|there| *there += 1);
        let mut opened = self.opened.subscribe();
        tokio::select! {
            // The sender is ours: waiting can end only by opening.
            _ = opened.wait_for(|open| *open) => true,
            () = gone => {
                self.left.send_modify(|gone| *gone += 1);
                false
            }
        }
    }
}
