//! Looks after clients: those who stand still are cut off, sooner when others wait.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use super::operation::Operation;
use crate::bounds::Ended;

/// How often clients are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long a client may stand still while others wait for its place. One on a slow line moves some
/// bytes in this time; what it is sent waits in the kernel's buffers.
const PRESSED: Duration = Duration::from_secs(2);

/// Looks after the clients of all operations.
#[derive(Default)]
pub(super) struct Clients {
    operations: Mutex<Vec<Weak<Operation>>>,
}

impl Clients {
    fn operations(&self) -> MutexGuard<'_, Vec<Weak<Operation>>> {
        self.operations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks after this one as well.
    pub(super) fn watch(&self, operation: &Arc<Operation>) {
        self.operations().push(Arc::downgrade(operation));
    }

    /// Cuts clients that stand still: for `limit`, or while `waiting` others want their places. Says
    /// how many operations get on.
    pub(super) async fn run(
        &self,
        limit: Duration,
        waiting: impl Fn() -> usize,
        getting_on: impl Fn(usize),
    ) {
        loop {
            tokio::time::sleep(LOOK).await;
            getting_on(self.look(limit, waiting()));
        }
    }

    fn look(&self, limit: Duration, waiting: usize) -> usize {
        let mut getting_on = 0;
        let mut still = Vec::new();
        self.operations().retain(|operation| {
            let Some(operation) = operation.upgrade() else {
                return false;
            };
            getting_on += usize::from(operation.gets_on());
            let stood = operation.stood();
            if stood >= limit.min(PRESSED) {
                still.push((stood, operation));
            }
            true
        });
        still.sort_by_key(|(stood, _)| std::cmp::Reverse(*stood));
        let mut waiting = waiting;
        for (stood, operation) in still {
            if stood >= limit {
                operation.cut(Ended::Stalled(limit));
            } else if waiting > 0 && operation.has_place() {
                waiting -= 1;
                operation.cut(Ended::Yielded);
            }
        }
        getting_on
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::{super::operation::Side, *};

    #[test]
    fn who_stands_still_is_cut_sooner_when_others_wait() {
        let limit = Duration::from_secs(60);
        let stalled = || Some(Ended::Stalled(limit));
        for (stood, placed, waiting, expected) in [
            (61, false, 0, stalled()),
            (61, true, 5, stalled()),
            (59, true, 0, None),
            (3, true, 1, Some(Ended::Yielded)),
            (3, false, 1, None),
            (1, true, 1, None),
        ] {
            let operation = Operation::stalled(Duration::from_secs(stood), placed);
            let clients = Clients::default();
            clients.watch(&operation);
            clients.look(limit, waiting);
            assert_eq!(operation.why(), expected, "{stood} {placed} {waiting}");
        }
    }

    #[test]
    fn only_as_many_make_room_as_are_waited_for_and_the_longest_first() {
        let clients = Clients::default();
        let operations =
            [4, 9, 6].map(|seconds| Operation::stalled(Duration::from_secs(seconds), true));
        for operation in &operations {
            clients.watch(operation);
        }
        clients.look(Duration::from_secs(60), 2);
        let cut = operations.map(|operation| operation.why().is_some());
        assert_eq!(cut, [false, true, true]);
    }

    #[test]
    fn who_gets_on_has_run_for_a_while_and_has_a_client_that_keeps_up() {
        for (ran, stood, expected) in [(5, 0, 1), (5, 1, 0), (0, 0, 0)] {
            let operation = Operation::stalled(Duration::from_secs(ran), true);
            if stood == 0 {
                operation.moves(Side::Sending);
            }
            let clients = Clients::default();
            clients.watch(&operation);
            let getting_on = clients.look(Duration::from_secs(60), 0);
            assert_eq!(getting_on, expected, "{ran} {stood}");
        }
    }
}
