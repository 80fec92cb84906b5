//! How many connections there are at once, and which one goes when there are too many.
//!
//! A connection on which nothing was asked yet, or nothing since the last answer, costs its client
//! nothing to open again. So it is closed when its slot is needed, the one that waited longest first:
//! many idle connections lock nobody out. One that has just come is left alone for [`GRACE`]: its
//! request is on its way.
//!
//! Where none is idle, one goes whose request has no place that is looked after otherwise: it waits for its turn, for
//! a container that never runs, or reads a short answer slowly. The one that asked longest ago goes first.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// How long a client that has come is waited for even where there is no room: time enough to send
/// what it came for, and not enough for a crowd to keep others out.
const GRACE: Duration = Duration::from_millis(100);

/// How long a request without a place is left alone where there is no room: nearly all are answered by then.
const PATIENCE: Duration = Duration::from_secs(1);

/// As many of `wanted` connections as there are descriptors for: half of those this process may have. The
/// other half is for the store's files and for registries, so that no crowd of clients takes them.
pub(super) fn affordable(wanted: usize) -> usize {
    use rustix::process::{Resource, getrlimit};
    match getrlimit(Resource::Nofile).current {
        Some(limit) => shared_out(wanted, limit),
        None => wanted,
    }
}

fn shared_out(wanted: usize, limit: u64) -> usize {
    let half = usize::try_from(limit / 2).unwrap_or(usize::MAX).max(1);
    if half < wanted {
        tracing::warn!(
            "{half} connections are served at once instead of {wanted}, because this process may have \
             {limit} files open (ulimit -n)"
        );
    }
    wanted.min(half)
}

/// All slots.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    /// [`GRACE`].
    grace: Duration,
    /// [`PATIENCE`].
    patience: Duration,
    waiting: Mutex<Waiting>,
    /// Somebody began to wait for a client.
    more: Notify,
}

/// Connections that wait for their client, in the order in which they began to.
#[derive(Default)]
struct Waiting {
    next: u64,
    /// What tells each to go, and until when it is left alone.
    seats: BTreeMap<u64, (Arc<Notify>, Instant)>,
    /// The same of those that have asked something and have no place.
    asking: BTreeMap<u64, (Arc<Notify>, Instant)>,
}

impl Waiting {
    /// The first of them that need not be left alone any more; else when there is one.
    fn first(
        seats: &mut BTreeMap<u64, (Arc<Notify>, Instant)>,
        now: Instant,
    ) -> Result<Arc<Notify>, Option<Instant>> {
        let mut soonest = None;
        let mut found = None;
        for (place, (_, spared)) in &*seats {
            if *spared <= now {
                found = Some(*place);
                break;
            }
            soonest = soonest.min(Some(*spared)).or(Some(*spared));
        }
        let seat = found.and_then(|place| seats.remove(&place));
        seat.map(|(seat, _)| seat).ok_or(soonest)
    }
}

/// What came of closing a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// One goes.
    One,
    /// None may go.
    None,
    /// All that may go are left alone for now; one may go from then on.
    NotBefore(Instant),
}

impl Slots {
    /// So many slots.
    pub(super) fn new(count: usize) -> Arc<Self> {
        Self::with_grace(count, GRACE, PATIENCE)
    }

    fn with_grace(count: usize, grace: Duration, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))),
            grace,
            patience,
            waiting: Mutex::default(),
            more: Notify::new(),
        })
    }

    /// A slot, for which an idle connection may have to go. `None` never happens while `self` lives.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Seat> {
        loop {
            if let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() {
                return Some(Seat::new(self, slot));
            }
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            let freed = Arc::clone(&self.free).acquire_owned();
            let later = match self.make_room() {
                Closed::One => return Some(Seat::new(self, freed.await.ok()?)),
                Closed::None => None,
                Closed::NotBefore(later) => Some(later.into()),
            };
            tokio::select! {
                slot = freed => return Some(Seat::new(self, slot.ok()?)),
                () = more => {}
                () = tokio::time::sleep_until(later.unwrap_or_else(tokio::time::Instant::now)),
                    if later.is_some() => {}
            }
        }
    }

    /// Has a connection closed: the one that has been idle for longest, else the one that asked longest ago.
    pub(super) fn make_room(&self) -> Closed {
        let mut waiting = self.waiting();
        let now = Instant::now();
        let idle = Waiting::first(&mut waiting.seats, now);
        let found = idle.or_else(|soonest| {
            let asking = Waiting::first(&mut waiting.asking, now);
            asking.map_err(|later| soonest.into_iter().chain(later).min())
        });
        match found {
            Ok(seat) => {
                seat.notify_one();
                Closed::One
            }
            Err(soonest) => soonest.map_or(Closed::None, Closed::NotBefore),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a connection stands.
enum Place {
    /// It has just come.
    New,
    /// Something is asked, and what is done about it has no place.
    Asking(u64),
    /// It has one, and others look after it.
    Busy,
    /// Among those that wait for their client.
    Waiting(u64),
}

/// One connection's slot.
pub(super) struct Seat {
    slots: Arc<Slots>,
    closing: Arc<Notify>,
    came: Instant,
    /// Where it stands.
    place: Mutex<Place>,
    _slot: OwnedSemaphorePermit,
}

impl Seat {
    fn new(slots: &Arc<Slots>, slot: OwnedSemaphorePermit) -> Self {
        Self {
            slots: Arc::clone(slots),
            closing: Arc::default(),
            came: Instant::now(),
            place: Mutex::new(Place::New),
            _slot: slot,
        }
    }

    /// Nothing is asked: from now on the connection may have to go; one that is new, after a while.
    pub(super) fn idle(&self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let spared = match *place {
            Place::New => self.came + self.slots.grace,
            Place::Busy | Place::Asking(_) => self.came,
            Place::Waiting(_) => return,
        };
        let mut waiting = self.slots.waiting();
        if let Place::Asking(asking) = *place {
            waiting.asking.remove(&asking);
        }
        let next = waiting.next;
        waiting.next += 1;
        let seat = (Arc::clone(&self.closing), spared);
        waiting.seats.insert(next, seat);
        *place = Place::Waiting(next);
        drop(waiting);
        self.slots.more.notify_waiters();
    }

    /// Something is asked.
    pub(super) fn asks(&self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.slots.waiting();
        match *place {
            Place::New | Place::Busy => {}
            Place::Asking(_) => return,
            Place::Waiting(seat) => drop(waiting.seats.remove(&seat)),
        }
        let next = waiting.next;
        waiting.next += 1;
        let spared = Instant::now() + self.slots.patience;
        waiting
            .asking
            .insert(next, (Arc::clone(&self.closing), spared));
        *place = Place::Asking(next);
        drop(waiting);
        self.slots.more.notify_waiters();
    }

    /// What is asked has a place.
    pub(super) fn busy(&self) {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *place, Place::Busy) {
            Place::Waiting(seat) => drop(self.slots.waiting().seats.remove(&seat)),
            Place::Asking(seat) => drop(self.slots.waiting().asking.remove(&seat)),
            Place::New | Place::Busy => {}
        }
    }

    /// Resolves when the connection has to go.
    pub(super) async fn closing(&self) {
        self.closing.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.busy();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        pin::Pin,
        task::{Context, Waker},
    };

    /// Whether something is ready at once.
    fn is_ready<T>(future: &mut Pin<Box<impl Future<Output = T>>>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        future.as_mut().poll(&mut cx).is_ready()
    }

    #[test]
    fn connections_leave_half_of_the_descriptors() {
        for (wanted, limit, expected) in [
            (4096, 1 << 20, 4096),
            (4096, 64, 32),
            (8, 64, 8),
            (8, 1, 1),
            (usize::MAX, u64::MAX, usize::MAX / 2),
        ] {
            assert_eq!(shared_out(wanted, limit), expected, "{wanted} of {limit}");
        }
    }

    #[tokio::test]
    async fn the_one_that_is_idle_for_longest_goes() {
        let slots = Slots::new(3);
        let (first, second, third) = (
            slots.take().await.unwrap(),
            slots.take().await.unwrap(),
            slots.take().await.unwrap(),
        );
        for seat in [&first, &second, &third] {
            seat.busy();
            seat.idle();
        }
        // It asked something meanwhile.
        first.busy();
        first.idle();
        let mut newcomer = Box::pin(slots.take());
        assert!(!is_ready(&mut newcomer));
        assert!(is_ready(&mut Box::pin(second.closing())));
        assert!(!is_ready(&mut Box::pin(first.closing())));
        assert!(!is_ready(&mut Box::pin(third.closing())));
        drop(second);
        assert!(is_ready(&mut newcomer));
    }

    #[tokio::test]
    async fn one_that_has_just_come_is_left_alone() {
        let slots = Slots::with_grace(1, Duration::from_secs(600), PATIENCE);
        let only = slots.take().await.unwrap();
        only.idle();
        let mut newcomer = Box::pin(slots.take());
        assert!(!is_ready(&mut newcomer));
        assert!(!is_ready(&mut Box::pin(only.closing())));
        // Once it was answered it is as any other.
        only.busy();
        only.idle();
        assert!(!is_ready(&mut newcomer));
        assert!(is_ready(&mut Box::pin(only.closing())));
    }

    #[tokio::test]
    async fn one_that_has_come_and_asks_nothing_goes_after_a_while() {
        let slots = Slots::with_grace(1, Duration::from_millis(20), PATIENCE);
        let only = slots.take().await.unwrap();
        only.idle();
        tokio::select! {
            () = only.closing() => {}
            _ = slots.take() => panic!("there is no room"),
        }
    }

    #[tokio::test]
    async fn where_all_are_busy_the_first_that_is_done_goes() {
        let slots = Slots::new(1);
        let only = slots.take().await.unwrap();
        only.busy();
        let mut newcomer = Box::pin(slots.take());
        assert!(!is_ready(&mut newcomer));
        assert!(!is_ready(&mut Box::pin(only.closing())));
        only.idle();
        assert!(!is_ready(&mut newcomer));
        assert!(is_ready(&mut Box::pin(only.closing())));
        drop(only);
        assert!(is_ready(&mut newcomer));
    }

    #[tokio::test]
    async fn where_none_is_idle_one_goes_that_has_no_place() {
        let slots = Slots::with_grace(3, GRACE, Duration::ZERO);
        let (placed, first, second) = (
            slots.take().await.unwrap(),
            slots.take().await.unwrap(),
            slots.take().await.unwrap(),
        );
        for seat in [&placed, &first, &second] {
            seat.asks();
        }
        placed.busy();
        let mut newcomer = Box::pin(slots.take());
        assert!(!is_ready(&mut newcomer));
        assert!(is_ready(&mut Box::pin(first.closing())));
        assert!(!is_ready(&mut Box::pin(second.closing())));
        drop(first);
        let third = newcomer.await.unwrap();
        third.asks();
        // Answered, one is idle and goes before those that ask.
        third.idle();
        let mut another = Box::pin(slots.take());
        assert!(!is_ready(&mut another));
        assert!(is_ready(&mut Box::pin(third.closing())));
        for seat in [&placed, &second] {
            assert!(!is_ready(&mut Box::pin(seat.closing())));
        }
    }

    #[tokio::test]
    async fn one_that_has_just_asked_is_left_alone() {
        let slots = Slots::with_grace(1, GRACE, Duration::from_secs(600));
        let only = slots.take().await.unwrap();
        only.asks();
        let mut newcomer = Box::pin(slots.take());
        assert!(!is_ready(&mut newcomer));
        assert!(!is_ready(&mut Box::pin(only.closing())));
    }
}
