//! The bounded queue between an ingest's senders and its worker, which gets a thread of the pool while
//! there is something to do.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::pool::POOL;
use super::worker::Worker;
use crate::sync::lock;
use crate::{Digest, Error};

/// Bytes queued or being written at which senders wait. A sender may exceed it by one piece.
const CAPACITY: usize = 1024 * 1024;
/// Bytes worth a batch: fewer, larger system calls and fewer changes between threads.
const BATCH: usize = 256 * 1024;

/// What a handle wants from the worker, apart from writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Reset,
    Commit,
    Close,
}

/// What the worker has to do next.
pub(super) enum Work {
    /// Hash so many bytes that are in the file from before.
    Begin(u64),
    Write(VecDeque<Bytes>),
    Reset,
    Commit,
    Close,
    /// Nothing, for now.
    Rest,
}

/// How a worker ended: the blob it published with its size in bytes, `None` if it only was closed.
pub(super) type Outcome = Result<Option<(Digest, u64)>, Error>;

pub(super) struct Queue {
    size: Option<u64>,
    state: Mutex<Backlog>,
    /// Gone when it has ended.
    worker: Mutex<Option<Worker>>,
    /// For threads that wait for the worker to end.
    ended: Condvar,
}

struct Backlog {
    /// Bytes in the file from before that are not hashed yet.
    begin: u64,
    /// Whether a thread is at work, or about to be.
    running: bool,
    /// Whether one will look in a moment.
    lingering: bool,
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
            state: Mutex::new(Backlog {
                begin: accepted,
                running: false,
                lingering: false,
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
            worker: Mutex::new(None),
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

    pub(super) fn send(self: &Arc<Self>, bytes: Bytes) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let mut state = lock(&self.state);
        state.check()?;
        state.check_room(self.size, bytes.len() as u64)?;
        state.accepted += bytes.len() as u64;
        state.queued += bytes.len();
        state.pieces.push_back(bytes);
        self.wake_worker(&mut state);
        Ok(())
    }

    pub(super) fn poll_flush(self: &Arc<Self>, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut state = lock(&self.state);
        if let Err(error) = state.check() {
            return Poll::Ready(Err(error));
        }
        if state.queued + state.writing == 0 {
            return Poll::Ready(Ok(()));
        }
        state.flush = true;
        self.wake_worker(&mut state);
        state.register(cx);
        Poll::Pending
    }

    pub(super) fn request(self: &Arc<Self>, request: Request) {
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
        self.wake_worker(&mut state);
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

    /// Gives the queue its worker, which begins with what is in the file from before.
    pub(super) fn start(self: &Arc<Self>, worker: Worker) {
        *lock(&self.worker) = Some(worker);
        self.wake_worker(&mut lock(&self.state));
    }

    /// Sees to it that a thread comes if there is something to do.
    fn wake_worker(self: &Arc<Self>, state: &mut Backlog) {
        if state.running || state.outcome.is_some() {
            return;
        }
        if state.is_urgent() {
            state.running = true;
            POOL.run(self.clone());
        } else if state.queued > 0 && !state.lingering {
            state.lingering = true;
            POOL.linger(self.clone());
        }
    }

    /// Works until there is nothing to do or others wait. On a thread of the pool; `lingered` if what is
    /// queued has waited for more.
    pub(super) fn turn(self: &Arc<Self>, mut lingered: bool) {
        if lingered {
            let mut state = lock(&self.state);
            state.lingering = false;
            if state.running || state.outcome.is_some() {
                return;
            }
            state.running = true;
        }
        let mut slot = lock(&self.worker);
        let Some(worker) = slot.as_mut() else { return };
        loop {
            let work = self.next(std::mem::take(&mut lingered));
            if matches!(work, Work::Rest) {
                return;
            }
            if let Some(outcome) = worker.work(self, work) {
                // What it held goes first: whoever learns of the end finds the lock free.
                if let Some(worker) = slot.take() {
                    worker.close();
                }
                self.end(outcome);
                return;
            }
            if POOL.is_busy() {
                drop(slot);
                POOL.run(self.clone());
                return;
            }
        }
    }

    /// What to do next. Everything queued is one batch.
    fn next(self: &Arc<Self>, lingered: bool) -> Work {
        let mut state = lock(&self.state);
        if state.begin > 0 {
            return Work::Begin(std::mem::take(&mut state.begin));
        }
        if state.reset {
            return Work::Reset;
        }
        if state.queued > 0 && (lingered || state.is_urgent()) {
            state.writing = state.queued;
            state.queued = 0;
            return Work::Write(std::mem::take(&mut state.pieces));
        }
        match state.last {
            Some(Request::Commit) => return Work::Commit,
            Some(Request::Close | Request::Reset) => return Work::Close,
            None => {}
        }
        state.running = false;
        self.wake_worker(&mut state);
        Work::Rest
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

    /// The worker has ended.
    fn end(&self, outcome: Outcome) {
        let mut state = lock(&self.state);
        state.last.get_or_insert(Request::Close);
        state.pieces.clear();
        state.outcome = Some(outcome);
        state.wake();
        self.ended.notify_all();
    }
}

impl Backlog {
    /// Whether there is something to do that cannot wait for more.
    fn is_urgent(&self) -> bool {
        self.begin > 0
            || self.reset
            || self.last.is_some()
            || self.queued >= BATCH
            || (self.flush && self.queued > 0)
    }

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
