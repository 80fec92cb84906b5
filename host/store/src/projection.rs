//! What is to be done about `index.json`, and whether it is still what this process left.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::layout::Layout;
use crate::sync::lock;

/// Tells the projecting thread what to do.
#[derive(Default)]
pub(crate) struct Projection {
    state: Mutex<Pending>,
    changed: Condvar,
}

#[derive(Default)]
struct Pending {
    dirty: bool,
    stop: bool,
    /// The `index.json` last read or written.
    seen: Option<Seen>,
}

/// What there is to do.
pub(crate) enum Task {
    /// Names changed, or another tool changed the file.
    Project,
    /// Nothing happened for a while.
    Nothing,
    /// The store is closed.
    Stop,
}

impl Projection {
    /// Names changed: project soon.
    pub(crate) fn mark(&self) {
        lock(&self.state).dirty = true;
        self.changed.notify_all();
    }

    /// A synchronisation begins: later changes need another one.
    pub(crate) fn begin(&self) {
        lock(&self.state).dirty = false;
    }

    /// A synchronisation succeeded.
    pub(crate) fn done(&self, layout: &Layout) {
        lock(&self.state).seen = look(layout);
    }

    /// The projecting thread ends.
    pub(crate) fn stop(&self) {
        lock(&self.state).stop = true;
        self.changed.notify_all();
    }

    /// Whether a change was not projected yet.
    pub(crate) fn is_marked(&self) -> bool {
        lock(&self.state).dirty
    }

    /// Waits for a change, but not for longer than `most`.
    pub(crate) fn next(&self, layout: &Layout, most: Duration) -> Task {
        let state = lock(&self.state);
        let (state, _) = self
            .changed
            .wait_timeout_while(state, most, |state| !state.dirty && !state.stop)
            .unwrap_or_else(PoisonError::into_inner);
        let (dirty, stop, seen) = (state.dirty, state.stop, state.seen);
        drop(state);
        match stop {
            true => Task::Stop,
            false if dirty || look(layout) != seen => Task::Project,
            false => Task::Nothing,
        }
    }

    /// Waits, but not beyond a stop. False if it is time to stop.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        let mut state = lock(&self.state);
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if state.stop || left.is_zero() {
                return !state.stop;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// What tells one `index.json` from the next: inode, modification time in seconds and nanoseconds,
/// length.
type Seen = (u64, i64, i64, u64);

fn look(layout: &Layout) -> Option<Seen> {
    let metadata = fs::metadata(layout.root().join("index.json")).ok()?;
    Some((
        metadata.ino(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.len(),
    ))
}
