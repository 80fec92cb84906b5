//! Long computations that let others get on.
//!
//! An instance has one thread: whoever computes without waiting keeps every other request of it
//! waiting.

use std::{future::poll_fn, task::Poll};

/// Steps between two yields. A step is a map lookup or two, so this is well below a millisecond.
const STEPS: usize = 1024;

/// Counts the steps of a computation.
#[derive(Default)]
pub(crate) struct Pace(usize);

impl Pace {
    /// Counts `steps`, and lets others run now and then.
    pub(crate) async fn steps(&mut self, steps: usize) {
        self.0 = self.0.saturating_add(steps);
        if self.0 >= STEPS {
            self.0 = 0;
            yield_now().await;
        }
    }
}

/// Lets every other task that can run do so first.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::{executor::block_on, future::join};

    use super::*;

    #[test]
    fn a_long_computation_lets_others_run() {
        let done = Cell::new(0);
        let long = async {
            let mut pace = Pace::default();
            for _ in 0..10 * STEPS {
                pace.steps(1).await;
                done.set(done.get() + 1);
            }
        };
        let seen = async {
            let mut seen = Vec::new();
            for _ in 0..5 {
                seen.push(done.get());
                yield_now().await;
            }
            seen
        };
        let ((), seen) = block_on(join(long, seen));
        let expected: Vec<usize> = (1..=5).map(|turn| turn * STEPS - 1).collect();
        assert_eq!(seen, expected);
    }
}
