//! A client, and what stands in for an executor.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::{HeaderMap, StatusCode};
use strata_engine::{Error, memory::Bytes};
use strata_http::{Gone, Output};

/// Bytes after which the client has seen enough and leaves.
const ENOUGH: usize = 4 << 20;
/// The most turns of one request.
const MOST_TURNS: usize = 10_000_000;

/// What came back.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// The response was broken off.
    pub(crate) aborted: bool,
    /// The client did not wait for its end.
    pub(crate) left: bool,
}

impl Answer {
    pub(crate) fn code(&self) -> u16 {
        self.status.map_or(0, |status| status.as_u16())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Output for Answer {
    type Body = Bytes;

    async fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), Gone> {
        assert_eq!(self.status.replace(status), None, "one head");
        self.headers = headers;
        Ok(())
    }

    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone> {
        assert!(self.status.is_some() && !bytes.is_empty() && !self.aborted);
        self.body.extend(bytes);
        self.left = self.body.len() > ENOUGH;
        match self.left {
            true => Err(Gone),
            false => Ok(()),
        }
    }

    async fn copy(&mut self, body: Bytes, length: u64) -> Result<Result<(), Error>, Gone> {
        let mut bytes = body.whole();
        let is_whole = bytes.len() as u64 >= length;
        bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
        if !bytes.is_empty() {
            self.write(bytes).await?;
        }
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

/// Polls when woken; `None` for what waits for ever.
pub(crate) fn run<F: Future>(future: F) -> Option<F::Output> {
    struct Flag(AtomicBool);
    impl Wake for Flag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let flag = Arc::new(Flag(AtomicBool::new(true)));
    let waker = Waker::from(Arc::clone(&flag));
    let mut future = pin!(future);
    for _ in 0..MOST_TURNS {
        if !flag.0.swap(false, Ordering::Relaxed) {
            return None;
        }
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return Some(output);
        }
    }
    panic!("turns round for ever");
}
