//! Polling again, at once, what wakes itself while it is polled.
//!
//! tokio takes such a wake for the wish to let others run: the task goes to the end of the queue, and
//! another thread is woken to fetch it. But most who wake themselves do not wish that: a
//! `FuturesUnordered` does whenever something in it waits, hyper when it is told that an answer has
//! ended. Several such wakes for each request cost more than the request.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

use futures::task::AtomicWaker;

/// Rounds after which others have their turn in any case.
const MOST: usize = 16;

/// Nobody polls: a wake goes to the task.
const RESTS: u8 = 0;
/// A poll is under way.
const POLLS: u8 = 1;
/// It was woken during that.
const AGAIN: u8 = 2;

/// The rounds of one future.
pub(crate) struct Rounds {
    state: Arc<Round>,
    waker: Waker,
}

#[derive(Default)]
struct Round {
    now: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Round {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.now.compare_exchange(POLLS, AGAIN, SeqCst, SeqCst) == Err(RESTS) {
            self.task.wake();
        }
    }
}

impl Rounds {
    pub(crate) fn new() -> Self {
        let state = Arc::<Round>::default();
        let waker = Waker::from(Arc::clone(&state));
        Self { state, waker }
    }

    /// Polls until the future is ready or waits for others, or, having woken itself, `yields` to them.
    pub(crate) fn poll<T>(
        &self,
        cx: &Context<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
        yields: impl Fn() -> bool,
    ) -> Poll<T> {
        self.state.task.register(cx.waker());
        for _ in 0..MOST {
            self.state.now.store(POLLS, SeqCst);
            let polled = poll(&mut Context::from_waker(&self.waker));
            let was = self.state.now.swap(RESTS, SeqCst);
            if polled.is_ready() || was == POLLS {
                return polled;
            }
            if yields() {
                break;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::pin,
        sync::atomic::AtomicUsize,
        task::Poll::{Pending, Ready},
    };

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// Polls something that wakes itself so many times; how often it was polled, and its task woken.
    fn polls(wakes: usize, yields: bool) -> (usize, usize) {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let (mut polls, rounds) = (0, Rounds::new());
        let polled: Poll<()> = rounds.poll(
            &Context::from_waker(&waker),
            |cx| {
                polls += 1;
                if polls <= wakes {
                    cx.waker().wake_by_ref();
                }
                Pending
            },
            || yields,
        );
        assert_eq!(polled, Pending);
        (polls, count.0.load(SeqCst))
    }

    #[test]
    fn who_wakes_itself_is_polled_again_unless_it_yields() {
        assert_eq!(polls(0, false), (1, 0));
        assert_eq!(polls(3, false), (4, 0));
        assert_eq!(polls(3, true), (1, 1));
        assert_eq!(polls(usize::MAX, false), (MOST, 1));
    }

    #[test]
    fn who_rests_is_woken_by_its_task() {
        let count = Arc::<Count>::default();
        let waker = Waker::from(Arc::clone(&count));
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let (mut receiver, rounds) = (pin!(receiver), Rounds::new());
        let mut poll = || {
            rounds.poll(
                &Context::from_waker(&waker),
                |cx| receiver.as_mut().poll(cx),
                || false,
            )
        };
        assert_eq!(poll(), Pending);
        sender.send(()).unwrap();
        assert_eq!(count.0.load(SeqCst), 1);
        assert_eq!(poll(), Ready(Ok(())));
    }
}
