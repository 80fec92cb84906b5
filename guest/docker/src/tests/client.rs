//! A client that remembers what it is sent, and what stands in for an executor.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::{HeaderMap, HeaderValue, Method, StatusCode};
use strata_engine::{Error, memory::Bytes};
use strata_http::{Gone, Head, Output, RequestBody, Taking};

use super::fake::Fake;
use crate::Call;

/// A client; reads a write only after `delay` turns.
#[derive(Default)]
pub(super) struct Client {
    pub(super) status: Option<StatusCode>,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) writes: usize,
    pub(super) delay: usize,
    /// Leaves at this write or copy, counted from 0.
    pub(super) leaves_at: Option<usize>,
    /// The response was broken off.
    pub(super) aborted: bool,
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
    type Body = Bytes;

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
        assert!(!self.aborted);
        self.writes += 1;
        self.body.extend(bytes);
        Ok(())
    }

    async fn copy(&mut self, body: Bytes, length: u64) -> Result<Result<(), Error>, Gone> {
        let body = body.whole();
        let is_whole = body.len() as u64 == length;
        self.write(body).await?;
        Ok(match is_whole {
            true => Ok(()),
            false => Err(Error::Unavailable("cut".to_owned())),
        })
    }

    async fn abort(&mut self) {
        assert!(self.status.is_some() && !self.aborted);
        self.aborted = true;
    }
}

/// A request as the shell would pass it on.
pub(super) struct Request {
    method: Method,
    target: String,
    pub(super) headers: HeaderMap,
    pub(super) body: RequestBody<Bytes>,
}

/// `METHOD path` with a body.
pub(super) fn request(line: &str, body: &[u8]) -> Request {
    let (method, target) = line.split_once(' ').unwrap();
    let method: Method = method.parse().unwrap();
    let call = Call::new(Head::new(method.clone(), target, HeaderMap::new()));
    let body = match call.body() {
        Taking::Stream => RequestBody::Stream(Bytes::of(body.to_vec())),
        Taking::Whole | Taking::Nothing => RequestBody::Bytes(body.to_vec()),
    };
    Request {
        method,
        target: target.to_owned(),
        headers: HeaderMap::new(),
        body,
    }
}

/// Sends a request as `client`.
pub(super) async fn respond(
    fake: &Fake,
    request: Request,
    client: &mut Client,
) -> Result<(), Gone> {
    let head = Head::new(request.method, &request.target, request.headers);
    let call = Call::new(head);
    call.answer(fake, &fake.host, request.body, client).await
}

/// Sends `METHOD path` and returns what came back.
pub(super) fn call(fake: &Fake, line: &str) -> Client {
    call_with(fake, line, &[])
}

pub(super) fn call_with(fake: &Fake, line: &str, headers: &[(&'static str, &str)]) -> Client {
    let mut request = request(line, b"body");
    for (name, value) in headers {
        request
            .headers
            .insert(*name, HeaderValue::from_str(value).unwrap());
    }
    let mut client = Client::default();
    assert_eq!(block_on(respond(fake, request, &mut client)), Ok(()));
    client
}

/// Sends `METHOD path` with a JSON body.
pub(super) fn send_json(fake: &Fake, line: &str, body: &str) -> Client {
    let mut request = request(line, body.as_bytes());
    let json = HeaderValue::from_static("application/json");
    request.headers.insert("content-type", json);
    let mut client = Client::default();
    assert_eq!(block_on(respond(fake, request, &mut client)), Ok(()));
    client
}

/// Sends `METHOD path` without body.
pub(super) fn send_nothing(fake: &Fake, line: &str) -> Client {
    let mut client = Client::default();
    let sent = block_on(respond(fake, request(line, b""), &mut client));
    assert_eq!(sent, Ok(()));
    client
}

/// Sends `METHOD path` as `client`.
pub(super) fn call_as(client: &mut Client, fake: &Fake, line: &str) -> Result<(), Gone> {
    block_on(respond(fake, request(line, b"body"), client))
}

/// Goes on in the next turn.
pub(super) async fn pause() {
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
