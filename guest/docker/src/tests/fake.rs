//! A scripted engine and a client that remembers what it is sent.

use std::{
    rc::Rc,
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use strata_engine::{
    Completed, Error, Event, Filters, HistoryEntry, ImageDetails, ImageSummary, InspectOptions,
    ListOptions, Mirror, Progress, Pruned, PullOptions, Removal, RemoveOptions, Result,
};
use strata_oci::{Descriptor, Digest, Platform, Reference, media_type::OCI_INDEX};

use crate::{Gone, HostFacts, Operations, Output, Request, respond};

/// What a scripted pull does next.
pub(super) enum Step {
    Report(Event),
    /// Lets others run once.
    Yield,
    Fail(Error),
    /// Never goes on.
    Hang,
}

/// Answers with what its fields hold, and remembers what it was asked.
pub(super) struct Fake {
    pub(super) host: HostFacts,
    pub(super) images: Vec<ImageSummary>,
    pub(super) details: ImageDetails,
    pub(super) history: Vec<HistoryEntry>,
    pub(super) pruned: Pruned,
    /// What everything but a pull fails with.
    pub(super) error: Option<Error>,
    pub(super) script: RefCell<VecDeque<Step>>,
    /// `operation arguments`, in their debug form.
    pub(super) calls: RefCell<Vec<String>>,
    pub(super) pulls: RefCell<Vec<PullOptions>>,
    pub(super) cancelled: Cell<bool>,
}

pub(super) fn linux() -> Platform {
    Platform {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        ..Platform::default()
    }
}

pub(super) fn digest(text: &str) -> Digest {
    Digest::sha256(text.as_bytes())
}

impl Default for Fake {
    fn default() -> Self {
        let host = HostFacts {
            version: "0.1.0".to_owned(),
            platform: linux(),
            hostname: "box".to_owned(),
            processors: 2,
            memory: 1024,
            kernel: "6.1".to_owned(),
            root: "/store".to_owned(),
            mirrors: vec![Mirror {
                host: "docker.io".to_owned(),
                url: "http://127.0.0.1:5000".to_owned(),
            }],
            insecure_registries: vec!["reg:80".to_owned()],
            id: "some-id".to_owned(),
        };
        let details = ImageDetails {
            target: Descriptor::new(OCI_INDEX, digest("target"), 7),
            tags: vec!["alpine:3".to_owned()],
            digests: Vec::new(),
            config: None,
            config_bytes: None,
            size: 12,
            last_tagged: None,
            manifests: Vec::new(),
            sources: Vec::new(),
        };
        Self {
            host,
            images: Vec::new(),
            details,
            history: Vec::new(),
            pruned: Pruned::default(),
            error: None,
            script: RefCell::default(),
            calls: RefCell::default(),
            pulls: RefCell::default(),
            cancelled: Cell::default(),
        }
    }
}

impl Fake {
    pub(super) fn pulling(script: impl IntoIterator<Item = Step>) -> Self {
        let fake = Self::default();
        fake.script.borrow_mut().extend(script);
        fake
    }

    fn answer<T: Clone>(&self, call: String, answer: &T) -> Result<T> {
        self.calls.borrow_mut().push(call);
        match &self.error {
            Some(error) => Err(error.clone()),
            None => Ok(answer.clone()),
        }
    }
}

/// Says so when the pull is dropped before its end.
struct Guard<'a>(&'a Cell<bool>, bool);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.set(!self.1);
    }
}

impl Operations for Fake {
    async fn pull(&self, options: &PullOptions, progress: &dyn Progress) -> Result<Vec<Completed>> {
        let mut guard = Guard(&self.cancelled, false);
        self.pulls.borrow_mut().push(options.clone());
        loop {
            let step = self.script.borrow_mut().pop_front();
            match step {
                Some(Step::Report(event)) => progress.report(event),
                Some(Step::Yield) => pause().await,
                Some(Step::Fail(error)) => {
                    guard.1 = true;
                    return Err(error);
                }
                Some(Step::Hang) => std::future::pending().await,
                None => break,
            }
        }
        guard.1 = true;
        Ok(Vec::new())
    }

    async fn list(&self, options: &ListOptions) -> Result<Vec<Rc<ImageSummary>>> {
        let images = self.answer(format!("list {options:?}"), &self.images)?;
        Ok(images.into_iter().map(Rc::new).collect())
    }

    async fn inspect(&self, name: &str, options: &InspectOptions) -> Result<ImageDetails> {
        self.answer(format!("inspect {name} {options:?}"), &self.details)
    }

    async fn history(&self, name: &str, platform: Option<&Platform>) -> Result<Vec<HistoryEntry>> {
        self.answer(format!("history {name} {platform:?}"), &self.history)
    }

    async fn tag(&self, source: &str, target: &Reference) -> Result<()> {
        self.answer(format!("tag {source} {target}"), &())
    }

    async fn remove(&self, name: &str, options: &RemoveOptions) -> Result<Vec<Removal>> {
        self.answer(format!("remove {name} {options:?}"), &self.pruned.removals)
    }

    async fn prune(&self, filters: &Filters) -> Result<Pruned> {
        self.answer(format!("prune {filters:?}"), &self.pruned)
    }

    async fn image_count(&self) -> Result<usize> {
        self.answer("image_count".to_owned(), &self.images.len())
    }

    fn host(&self) -> &HostFacts {
        &self.host
    }

    fn now(&self) -> (i64, u32) {
        (1_700_000_000, 500_000_000)
    }
}

/// A client; reads a write only after `delay` turns.
#[derive(Default)]
pub(super) struct Client {
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) writes: usize,
    pub(super) delay: usize,
    /// Leaves at this write, counted from 0.
    pub(super) leaves_at: Option<usize>,
}

impl Client {
    pub(super) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(super) fn code(&self) -> u16 {
        self.status.unwrap().as_u16()
    }

    /// The stream's messages; each must end in CRLF.
    pub(super) fn lines(&self) -> Vec<&str> {
        let text = self.text();
        assert!(text.is_empty() || text.ends_with("\r\n"), "{text}");
        text.split_terminator("\r\n").collect()
    }
}

impl Output for Client {
    async fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), Gone> {
        assert_eq!(self.status.replace(status), None, "one head");
        self.headers = headers;
        Ok(())
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        assert!(self.status.is_some() && !bytes.is_empty());
        for _ in 0..self.delay {
            pause().await;
        }
        if self.leaves_at == Some(self.writes) {
            return Err(Gone);
        }
        self.writes += 1;
        self.body.extend(bytes);
        Ok(())
    }
}

pub(super) fn request(method: Method, path_and_query: &str) -> Request {
    Request {
        method,
        path_and_query: path_and_query.to_owned(),
        headers: HeaderMap::new(),
        body: Vec::new(),
    }
}

/// Sends `METHOD path` and returns what came back.
pub(super) fn call(fake: &Fake, line: &str) -> Client {
    call_with(fake, line, &[])
}

pub(super) fn call_with(fake: &Fake, line: &str, headers: &[(&'static str, &str)]) -> Client {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request = request(method.parse().unwrap(), path);
    for (name, value) in headers {
        request
            .headers
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut client = Client::default();
    assert_eq!(block_on(respond(fake, request, &mut client)), Ok(()));
    client
}

/// The last thing the engine was asked.
pub(super) fn last_call(fake: &Fake) -> String {
    fake.calls.borrow().last().unwrap().clone()
}

/// Goes on in the next turn.
async fn pause() {
    let mut paused = false;
    poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls only when woken, so that a forgotten wake-up shows.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    loop {
        assert!(flag.0.swap(false, Ordering::Relaxed), "waits for ever");
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
    }
}
