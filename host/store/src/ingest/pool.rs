//! The threads that hash and write: few, shared by all ingests and stages, and there only while there
//! is work. Nobody's silence costs a thread.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::queue::Queue;
use crate::sync::lock;

/// Threads at most. More than there are processors, as some wait for the disk.
const THREADS: usize = 32;
/// How long a thread without work stays.
const IDLE: Duration = Duration::from_secs(5);
/// How long a batch too small to be worth it may wait for more, so that a slow download still gets to
/// the file.
const LINGER: Duration = Duration::from_millis(20);

/// The pool of this process.
pub(super) static POOL: Pool = Pool::new();

pub(super) struct Pool {
    state: Mutex<Crew>,
    changed: Condvar,
}

struct Crew {
    ready: VecDeque<Arc<Queue>>,
    /// In the order of time, as all wait equally long.
    lingering: VecDeque<(Instant, Arc<Queue>)>,
    threads: usize,
    idle: usize,
    /// Open ingests and stages. While there are any the last thread stays: starting one can fail.
    users: usize,
}

/// What a thread does next.
enum Next {
    /// Works for a queue; whether what it has may not wait for more any longer.
    Turn(Arc<Queue>, bool),
    End,
}

impl Pool {
    const fn new() -> Pool {
        Pool {
            state: Mutex::new(Crew {
                ready: VecDeque::new(),
                lingering: VecDeque::new(),
                threads: 0,
                idle: 0,
                users: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// There is one more user. Fails if there is no thread and none can be started.
    pub(super) fn enter(&'static self) -> io::Result<()> {
        let mut state = lock(&self.state);
        if state.threads == 0 {
            self.start(&mut state)?;
        }
        state.users += 1;
        Ok(())
    }

    /// There is one user less.
    pub(super) fn leave(&self) {
        lock(&self.state).users -= 1;
    }

    /// Has a queue worked for soon.
    pub(super) fn run(&'static self, queue: Arc<Queue>) {
        let mut state = lock(&self.state);
        state.ready.push_back(queue);
        if state.idle < state.ready.len() && state.threads < THREADS {
            // If it cannot be started, those that are there do it later.
            let _ = self.start(&mut state);
        }
        self.changed.notify_one();
    }

    /// Has a queue worked for after a while.
    pub(super) fn linger(&self, queue: Arc<Queue>) {
        let mut state = lock(&self.state);
        let is_first = state.lingering.is_empty();
        state.lingering.push_back((Instant::now() + LINGER, queue));
        if is_first {
            // Who sleeps has to know when to wake up.
            self.changed.notify_one();
        }
    }

    /// Whether another queue waits for a thread.
    pub(super) fn is_busy(&self) -> bool {
        let state = lock(&self.state);
        let first = state.lingering.front();
        !state.ready.is_empty() || first.is_some_and(|(until, _)| *until <= Instant::now())
    }

    fn start(&'static self, state: &mut Crew) -> io::Result<()> {
        std::thread::Builder::new()
            .name("strata-ingest".into())
            .spawn(move || {
                while let Next::Turn(queue, lingered) = self.next() {
                    queue.turn(lingered);
                }
            })?;
        state.threads += 1;
        Ok(())
    }

    fn next(&self) -> Next {
        let mut state = lock(&self.state);
        let since = Instant::now();
        loop {
            if let Some(queue) = state.ready.pop_front() {
                return Next::Turn(queue, false);
            }
            let now = Instant::now();
            let wait = match state.lingering.front() {
                Some((until, _)) if *until <= now => {
                    if let Some((_, queue)) = state.lingering.pop_front() {
                        if !state.lingering.is_empty() {
                            self.changed.notify_one();
                        }
                        return Next::Turn(queue, true);
                    }
                    continue;
                }
                Some((until, _)) => *until - now,
                None => IDLE,
            };
            let is_last = state.idle == 0;
            let may_end = !is_last || (state.users == 0 && state.lingering.is_empty());
            if may_end && now - since >= IDLE {
                state.threads -= 1;
                return Next::End;
            }
            state.idle += 1;
            let waited = self.changed.wait_timeout(state, wait);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.idle -= 1;
        }
    }
}
