//! The thread that keeps `index.json` up to date: coalesces changes, and notices those of other tools.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::synchronize;
use crate::layout::Layout;
use crate::open::Inner;
use crate::reserve;
use crate::sync::lock;

/// How often to look whether another tool changed `index.json`.
const WATCH: Duration = Duration::from_secs(2);
/// Pause after a projection that did not succeed.
const RETRY: Duration = Duration::from_secs(1);

/// Tells the projecting thread what to do.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    dirty: bool,
    stop: bool,
    /// The `index.json` last read or written.
    seen: Option<Stamp>,
}

impl Signal {
    /// Names changed: project soon.
    pub(crate) fn mark(&self) {
        lock(&self.state).dirty = true;
        self.changed.notify_all();
    }

    /// A synchronisation begins: later changes need another one.
    pub(super) fn begin(&self) {
        lock(&self.state).dirty = false;
    }

    /// A synchronisation succeeded.
    pub(super) fn done(&self, layout: &Layout) {
        lock(&self.state).seen = stamp(layout);
    }

    pub(crate) fn stop(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_all();
    }
}

/// The projecting thread: coalesces changes, and notices those of other tools.
pub(crate) fn run(inner: &Arc<Inner>, delay: Duration) {
    let signal = &inner.index;
    loop {
        let state = lock(&signal.state);
        let (state, _) = signal
            .changed
            .wait_timeout_while(state, WATCH, |state| !state.dirty && !state.stop)
            .unwrap_or_else(PoisonError::into_inner);
        let (dirty, stop, seen) = (state.dirty, state.stop, state.seen);
        drop(state);
        if stop {
            break;
        }
        if let Err(error) = inner.leases.follow() {
            tracing::warn!(%error, "what this process uses cannot be said to others; trying again");
        }
        if !dirty && stamp(&inner.layout) == seen {
            // There may be room again that somebody else made.
            reserve::keep(&inner.layout);
            continue;
        }
        // First wait: what changes in this time goes into the same projection.
        if !wait(signal, delay) {
            break;
        }
        if let Err(error) = synchronize(inner) {
            tracing::warn!(%error, "index.json is out of date; trying again");
            lock(&signal.state).dirty = true;
            if !wait(signal, RETRY) {
                break;
            }
        }
    }
    if lock(&signal.state).dirty
        && let Err(error) = synchronize(inner)
    {
        tracing::warn!(%error, "index.json is out of date; the next start brings it up to date");
    }
}

/// Waits, but not beyond a stop. False if it is time to stop.
fn wait(signal: &Signal, time: Duration) -> bool {
    let end = Instant::now() + time;
    let mut state = lock(&signal.state);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if state.stop || left.is_zero() {
            return !state.stop;
        }
        state = signal
            .changed
            .wait_timeout(state, left)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
    }
}

/// What tells one `index.json` from the next: inode, modification time in seconds and nanoseconds,
/// length.
type Stamp = (u64, i64, i64, u64);

fn stamp(layout: &Layout) -> Option<Stamp> {
    let metadata = fs::metadata(layout.root().join("index.json")).ok()?;
    Some((
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
    ))
}
