//! Looks after clients: those who stand still are cut off, sooner when others wait. And after what they asked for
//! from somebody who does not answer.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use strata_codec::Kind;

use super::operation::Operation;
use crate::bounds::Ended;

/// How often clients are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// How long a client may stand still while others wait for its place. One on a slow line moves some
/// bytes in this time; what it is sent waits in the kernel's buffers.
const PRESSED: Duration = Duration::from_secs(2);
/// How long a client may take to move a piece, 32 KiB, while others wait for its place: one that sends a
/// byte now and then stands still as well.
const SLOW: Duration = Duration::from_secs(5);
/// How long an operation may wait for a registry, or whom else it asks, while others wait for its place.
const SILENT: Duration = Duration::from_secs(5);

/// How many wait for what others have.
#[derive(Clone, Copy, Default)]
pub(super) struct Waiting {
    /// For a place.
    pub(super) places: usize,
    /// For memory of decoders with ordinary windows, and with long ones.
    pub(super) ordinary: usize,
    pub(super) long: usize,
}

impl Waiting {
    /// Whether somebody waits for what `operation` has, who then need not wait for another.
    fn takes(&mut self, operation: &Operation) -> bool {
        let decoders = operation.decoders();
        let mut has_any = false;
        for (waiting, has) in [
            (&mut self.places, operation.has_place()),
            (&mut self.ordinary, decoders.has(Kind::Ordinary)),
            (&mut self.long, decoders.has(Kind::Long)),
        ] {
            if has && *waiting > 0 {
                *waiting -= 1;
                has_any = true;
            }
        }
        has_any
    }
}

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

    /// Cuts clients that stand still: for `limit`, or while others wait for what they have. Says how
    /// many operations get on.
    pub(super) async fn run(
        &self,
        limit: Duration,
        waiting: impl Fn() -> Waiting,
        getting_on: impl Fn(usize),
    ) {
        loop {
            tokio::time::sleep(LOOK).await;
            getting_on(self.look(limit, waiting()));
        }
    }

    fn look(&self, limit: Duration, mut waiting: Waiting) -> usize {
        let mut getting_on = 0;
        let mut still = Vec::new();
        let mut silent = Vec::new();
        self.operations().retain(|operation| {
            let Some(operation) = operation.upgrade() else {
                return false;
            };
            getting_on += usize::from(operation.gets_on());
            let (stood, dawdled) = (operation.stood(), operation.dawdled());
            if stood >= limit.min(PRESSED) || dawdled >= SLOW {
                still.push((stood, dawdled, operation));
                return true;
            }
            let stood = operation.peers().stood();
            if stood >= SILENT {
                silent.push((stood, operation));
            }
            true
        });
        still.sort_by_key(|(_, dawdled, _)| std::cmp::Reverse(*dawdled));
        for (stood, _, operation) in still {
            if stood >= limit {
                operation.cut(Ended::Stalled(limit));
            } else if waiting.takes(&operation) {
                operation.cut(Ended::Yielded);
            }
        }
        silent.sort_by_key(|(stood, _)| std::cmp::Reverse(*stood));
        for (_, operation) in silent {
            if waiting.takes(&operation) {
                operation.give_way();
            }
        }
        getting_on
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::{Cursor, Read as _};

    use strata_codec::DecoderMemory;

    use super::{super::operation::Side, *};

    fn places(places: usize) -> Waiting {
        Waiting {
            places,
            ..Waiting::default()
        }
    }

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
            clients.look(limit, places(waiting));
            assert_eq!(operation.why(), expected, "{stood} {placed} {waiting}");
        }
    }

    #[test]
    fn who_moves_a_little_now_and_then_stands_still() {
        for (bytes, waiting, expected) in [
            (100, 1, Some(Ended::Yielded)),
            (100, 0, None),
            (64 << 10, 1, None),
        ] {
            let operation = Operation::stalled(Duration::from_secs(9), true);
            operation.moves(Side::Sending, bytes);
            operation.waits(Side::Sending);
            let clients = Clients::default();
            clients.watch(&operation);
            clients.look(Duration::from_secs(60), places(waiting));
            assert_eq!(operation.why(), expected, "{bytes} {waiting}");
            // Whoever has sent all is not waited for.
            let operation = Operation::stalled(Duration::from_secs(9), true);
            operation.moves(Side::Sending, bytes);
            operation.has_sent();
            clients.watch(&operation);
            clients.look(Duration::from_secs(60), places(waiting));
            assert_eq!(operation.why(), None, "{bytes} {waiting}");
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
        clients.look(Duration::from_secs(60), places(2));
        let cut = operations.map(|operation| operation.why().is_some());
        assert_eq!(cut, [false, true, true]);
    }

    #[test]
    fn who_has_memory_that_others_wait_for_is_cut_and_nobody_else() {
        // Windows of 8 MiB and 64 MiB in zstd's own form.
        for (window, ordinary, long) in [(0x68, 2, 0), (0x80, 0, 2)] {
            let waiting = Waiting {
                places: 0,
                ordinary,
                long,
            };
            let clients = Clients::default();
            let operations =
                [3, 9].map(|seconds| Operation::stalled(Duration::from_secs(seconds), true));
            for operation in &operations {
                clients.watch(operation);
            }
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0];
            let room = DecoderMemory::default().room(None, || {});
            let room = room.of(operations[0].decoders());
            let mut decoder = strata_codec::decompress(Cursor::new(frame), room).unwrap();
            assert_eq!(decoder.read(&mut [0]).unwrap(), 0);
            clients.look(Duration::from_secs(60), waiting);
            let cut = operations.map(|operation| operation.why().is_some());
            assert_eq!(cut, [true, false], "{window}");
        }
    }

    #[test]
    fn who_gets_on_has_run_for_a_while_and_has_a_client_that_keeps_up() {
        for (ran, stood, expected) in [(5, 0, 1), (5, 1, 0), (0, 0, 0)] {
            let operation = Operation::stalled(Duration::from_secs(ran), true);
            if stood == 0 {
                operation.moves(Side::Sending, 64 << 10);
            }
            let clients = Clients::default();
            clients.watch(&operation);
            let getting_on = clients.look(Duration::from_secs(60), places(0));
            assert_eq!(getting_on, expected, "{ran} {stood}");
        }
    }
}
