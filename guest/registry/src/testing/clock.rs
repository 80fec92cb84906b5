//! Time that passes only when nothing else can happen.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::Clock;

/// Starts at 2026-01-01 so that dates make sense.
const EPOCH: i64 = 1_767_225_600;

/// A clock that stands still while anything can happen.
#[derive(Default)]
pub struct VirtualClock {
    elapsed: Cell<Duration>,
    timers: RefCell<BTreeMap<(Duration, u64), Waker>>,
    next_timer: Cell<u64>,
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl VirtualClock {
    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.elapsed.get()
    }

    /// Drives a future to its end.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_until(future, || false)
            .expect("only a condition stops it")
    }

    /// Drives a future to its end, or drops it as soon as `enough`.
    pub fn run_until<F: Future>(&self, future: F, enough: impl Fn() -> bool) -> Option<F::Output> {
        let mut future = pin!(future);
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        loop {
            while flag.0.swap(false, Ordering::Relaxed) {
                let polled = future.as_mut().poll(&mut Context::from_waker(&waker));
                if let Poll::Ready(output) = polled {
                    return Some(output);
                }
                if enough() {
                    return None;
                }
            }
            let next = self.timers.borrow_mut().pop_first();
            let ((deadline, _), waker) = next.expect("everything waits and no time is set");
            self.elapsed.set(self.elapsed.get().max(deadline));
            waker.wake();
        }
    }
}

impl Clock for Rc<VirtualClock> {
    fn now(&self) -> (i64, u32) {
        let elapsed = self.elapsed.get();
        (
            EPOCH + i64::try_from(elapsed.as_secs()).unwrap(),
            elapsed.subsec_nanos(),
        )
    }

    async fn sleep(&self, duration: Duration) {
        let deadline = self.elapsed.get() + duration;
        let number = self.next_timer.get();
        self.next_timer.set(number + 1);
        let _cancel = Cancel(self, (deadline, number));
        poll_fn(|context| {
            if self.elapsed.get() >= deadline {
                return Poll::Ready(());
            }
            let waker = context.waker().clone();
            self.timers.borrow_mut().insert((deadline, number), waker);
            Poll::Pending
        })
        .await;
    }

    fn random(&self) -> u64 {
        0
    }
}

/// Takes a timer back when its future is dropped.
struct Cancel<'a>(&'a VirtualClock, (Duration, u64));

impl Drop for Cancel<'_> {
    fn drop(&mut self) {
        self.0.timers.borrow_mut().remove(&self.1);
    }
}
