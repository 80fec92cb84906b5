//! The bounded queue between an ingest's senders and its worker.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::sync::lock;
use crate::{Digest, Error};

/// Bytes queued or being written at which senders wait. A sender may exceed it by one piece.
const CAPACITY: usize = 1024 * 1024;
/// Bytes worth a batch: fewer, larger system calls and fewer changes between threads.
const BATCH: usize = 256 * 1024;
/// How long a smaller batch may wait for more, so that a slow download still gets to the file.
const LINGER: Duration = Duration::from_millis(20);

/// What a handle wants from the worker, apart from writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Reset,
    Commit,
    Close,
}

/// What the worker has to do next.
pub(super) enum Work {
    Write(VecDeque<Bytes>),
    Reset,
    Commit,
    Close,
}

/// How a worker ended: the blob it published with its size in bytes, `None` if it only was closed.
pub(super) type Outcome = Result<Option<(Digest, u64)>, Error>;

pub(super) struct Queue {
    size: Option<u64>,
    state: Mutex<State>,
    /// For the worker.
    work: Condvar,
    /// For threads that wait for the worker to end.
    ended: Condvar,
}

struct State {
    pieces: VecDeque<Bytes>,
    queued: usize,
    writing: usize,
    accepted: u64,
    flush: bool,
    reset: bool,
    last: Option<Request>,
    failure: Option<Error>,
    outcome: Option<Outcome>,
    wakers: Vec<Waker>,
}

impl Queue {
    pub(super) fn new(size: Option<u64>, accepted: u64) -> Queue {
        Queue {
            size,
            state: Mutex::new(State {
                pieces: VecDeque::new(),
                queued: 0,
                writing: 0,
                accepted,
                flush: false,
                reset: false,
                last: None,
                failure: None,
                outcome: None,
                wakers: Vec::new(),
            }),
            work: Condvar::new(),
            ended: Condvar::new(),
        }
    }

    /// Declared size of the blob in bytes, if it is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.size
    }

    pub(super) fn accepted(&self) -> u64 {
        lock(&self.state).accepted
    }

    // ---- senders ----

    /// Fails if `length` more bytes would be too many.
    pub(super) fn check_room(&self, length: u64) -> Result<(), Error> {
        lock(&self.state).check_room(self.size, length)
    }

    pub(super) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = lock(&self.state);
        if state.reset || (state.failure.is_none() && state.queued + state.writing >= CAPACITY) {
            state.register(cx);
            return Poll::Pending;
        }
        Poll::Ready(state.check())
    }

    pub(super) fn send(&self, bytes: Bytes) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        state.check()?;
        state.check_room(self.size, bytes.len() as u64)?;
        let before = state.queued;
        state.accepted += bytes.len() as u64;
        state.queued += bytes.len();
        state.pieces.push_back(bytes);
        // The worker sleeps until there is something, and then until it is worth a batch.
        if before == 0 || (before < BATCH && state.queued >= BATCH) {
            self.work.notify_one();
        }
        Ok(())
    }

    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = lock(&self.state);
        if let Err(error) = state.check() {
            return Poll::Ready(Err(error));
        }
        if state.queued + state.writing == 0 {
            return Poll::Ready(Ok(()));
        }
        state.flush = true;
        self.work.notify_one();
        state.register(cx);
        Poll::Pending
    }

    pub(super) fn request(&self, request: Request) {
        let mut state = lock(&self.state);
        match request {
            Request::Reset => {
                state.pieces.clear();
                state.queued = 0;
                state.reset = true;
            }
            // A commit goes on when its handle is dropped.
            Request::Commit | Request::Close => {
                state.last.get_or_insert(request);
            }
        }
        self.work.notify_one();
    }

    pub(super) fn poll_reset(&self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = lock(&self.state);
        if !state.reset {
            return Poll::Ready(state.check());
        }
        state.register(cx);
        Poll::Pending
    }

    pub(super) fn poll_outcome(&self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let mut state = lock(&self.state);
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        state.register(cx);
        Poll::Pending
    }

    /// If the handle was dropped, waits for the worker's last bytes. False if it is in use.
    pub(super) fn wait_closed(&self) -> bool {
        let mut state = lock(&self.state);
        if state.last != Some(Request::Close) {
            return false;
        }
        while state.outcome.is_none() {
            state = self
                .ended
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    // ---- the worker ----

    /// Waits for work. Everything queued is one batch.
    pub(super) fn next(&self) -> Work {
        let mut state = lock(&self.state);
        let mut lingered = false;
        loop {
            if state.reset {
                return Work::Reset;
            }
            let urgent = lingered || state.flush || state.last.is_some();
            if state.queued >= BATCH || (state.queued > 0 && urgent) {
                state.writing = state.queued;
                state.queued = 0;
                return Work::Write(std::mem::take(&mut state.pieces));
            }
            match state.last {
                Some(Request::Commit) => return Work::Commit,
                Some(Request::Close | Request::Reset) => return Work::Close,
                None => {}
            }
            if state.queued > 0 {
                let (next, timeout) = self
                    .work
                    .wait_timeout(state, LINGER)
                    .unwrap_or_else(PoisonError::into_inner);
                state = next;
                lingered = timeout.timed_out();
            } else {
                state = self
                    .work
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    /// The batch is in the file.
    pub(super) fn written(&self) {
        let mut state = lock(&self.state);
        state.writing = 0;
        if state.queued == 0 {
            state.flush = false;
        }
        state.wake();
    }

    /// Nothing more can be written; the file has `length` good bytes.
    pub(super) fn fail(&self, error: Error, length: u64) {
        let mut state = lock(&self.state);
        state.pieces.clear();
        state.queued = 0;
        state.writing = 0;
        state.accepted = length;
        state.failure = Some(error);
        state.wake();
    }

    /// The bytes are forgotten, or could not be.
    pub(super) fn was_reset(&self, result: Result<(), Error>) {
        let mut state = lock(&self.state);
        state.reset = false;
        match result {
            Ok(()) => {
                state.accepted = 0;
                state.failure = None;
            }
            Err(error) => state.failure = Some(error),
        }
        state.wake();
    }

    /// The error that stopped writing, if any.
    pub(super) fn failure(&self) -> Option<Error> {
        lock(&self.state).failure.as_ref().map(Error::again)
    }

    /// The worker ends.
    pub(super) fn end(&self, outcome: Outcome) {
        let mut state = lock(&self.state);
        state.last.get_or_insert(Request::Close);
        state.pieces.clear();
        state.outcome = Some(outcome);
        state.wake();
        self.ended.notify_all();
    }
}

impl State {
    fn check(&self) -> Result<(), Error> {
        match (&self.failure, self.last) {
            (Some(failure), _) => Err(failure.again()),
            (None, Some(_)) => Err(Error::Conflict(
                "the ingest is closed; open it again".into(),
            )),
            (None, None) if self.reset => Err(Error::Conflict(
                "the ingest is being reset; wait for it".into(),
            )),
            (None, None) => Ok(()),
        }
    }

    fn check_room(&self, size: Option<u64>, length: u64) -> Result<(), Error> {
        match size {
            Some(size) if length > size.saturating_sub(self.accepted) => {
                Err(Error::TooLong { expected: size })
            }
            _ => Ok(()),
        }
    }

    fn register(&mut self, cx: &Context<'_>) {
        if !self.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.wakers.push(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }
}
