//! What is being written, and the thread that waits until nothing is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::sync::lock;

/// Counts what is written, and wakes whoever checks layers in between.
pub(crate) struct Activity {
    writes: AtomicUsize,
    waking: Mutex<Waking>,
    changed: Condvar,
}

struct Waking {
    kicked: bool,
    stop: bool,
}

impl Default for Activity {
    fn default() -> Activity {
        Activity {
            writes: AtomicUsize::new(0),
            // What an earlier run left in the queue.
            waking: Mutex::new(Waking {
                kicked: true,
                stop: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl Activity {
    /// Something begins to be written.
    pub(crate) fn begin(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    /// It is not written any more.
    pub(crate) fn end(&self) {
        self.writes.fetch_sub(1, Ordering::Relaxed);
        self.wake();
    }

    /// There may be something to check, or time to do it.
    pub(crate) fn wake(&self) {
        lock(&self.waking).kicked = true;
        self.changed.notify_all();
    }

    /// Whoever waits ends.
    pub(crate) fn stop(&self) {
        lock(&self.waking).stop = true;
        self.changed.notify_all();
    }

    /// Waits to be woken, or for `timeout`. False if it is time to stop.
    pub(crate) fn wait(&self, timeout: Option<Duration>) -> bool {
        let mut waking = lock(&self.waking);
        while !waking.kicked && !waking.stop {
            waking = match timeout {
                None => self
                    .changed
                    .wait(waking)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(timeout) => {
                    let (next, timed_out) = self
                        .changed
                        .wait_timeout(waking, timeout)
                        .unwrap_or_else(PoisonError::into_inner);
                    if timed_out.timed_out() {
                        return !next.stop;
                    }
                    next
                }
            };
        }
        waking.kicked = false;
        !waking.stop
    }

    /// Waits until nothing is written. False if it is time to stop.
    pub(crate) fn wait_idle(&self) -> bool {
        while self.writes.load(Ordering::Relaxed) != 0 {
            if !self.wait(None) {
                return false;
            }
        }
        !lock(&self.waking).stop
    }
}
