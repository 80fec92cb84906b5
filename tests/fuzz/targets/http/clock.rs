//! A clock whose time passes while somebody waits.

use std::{
    cell::Cell,
    future::{pending, poll_fn},
    rc::Rc,
    task::Poll,
    time::Duration,
};

use strata_engine::Clock;

/// When it begins, in seconds.
const BEGIN: u64 = 1_700_000_000;
/// The most waits of one request. More are for ever: the end of a container, which nobody removes here.
const MOST: usize = 500;

/// Clones share the time.
#[derive(Clone, Default)]
pub(crate) struct Ticking(Rc<State>);

#[derive(Default)]
struct State {
    passed: Cell<Duration>,
    waits: Cell<usize>,
    random: Cell<u64>,
}

impl Ticking {
    /// A new request.
    pub(crate) fn begin(&self) {
        self.0.waits.set(0);
    }

    fn passed(&self) -> Duration {
        self.0.passed.get()
    }
}

impl Clock for Ticking {
    fn now(&self) -> (i64, u32) {
        let now = Duration::from_secs(BEGIN).saturating_add(self.passed());
        (
            i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            now.subsec_nanos(),
        )
    }

    async fn sleep(&self, duration: Duration) {
        let end = self.passed().saturating_add(duration);
        let mut turns = 0;
        // Whoever else can go on does so first.
        poll_fn(|context| {
            turns += 1;
            if turns > 2 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        self.0.waits.update(|waits| waits + 1);
        if self.0.waits.get() > MOST {
            pending::<()>().await;
        }
        self.0.passed.set(end.max(self.passed()));
    }

    fn random(&self) -> u64 {
        self.0.random.update(|random| {
            random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1)
        });
        self.0.random.get()
    }
}
