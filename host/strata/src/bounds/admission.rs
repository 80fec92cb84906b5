//! Who may run: a bounded number of operations with instances of their own.
//!
//! While nobody waits for long, the first come is the first served. Under pressure it is the last
//! come every other time: those who have waited for long may be gone, or were sent to be in the way, and
//! serving only them would make everybody wait as long as they did. Serving none of them would starve
//! whoever was not served at once.
//!
//! A few run at once. More do as long as those that run get on: a pull waits for its registry most of
//! the time, and many can. Those whose clients stand still do not, so a crowd of them stays small.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use super::Ended;

/// How long an operation waits for its turn.
const WAIT: Duration = Duration::from_secs(30);
/// A wait of this length is pressure.
const PRESSURE: Duration = Duration::from_millis(250);

/// How many may run for strangers whatever the others do. Each has some 5 MiB, here and in the sandbox.
const ALWAYS: usize = 8;

/// The door.
pub(crate) struct Admission {
    state: Mutex<Crowd>,
    /// Most at once.
    places: usize,
    wait: Duration,
}

struct Crowd {
    running: usize,
    /// How many may run whatever the others do.
    always: usize,
    /// Of those, how many get on.
    getting_on: usize,
    waiting: VecDeque<(Instant, oneshot::Sender<Place>)>,
    /// Under pressure it is the turn of the last come.
    is_last: bool,
}

/// The right to run, until it is dropped.
pub(crate) struct Place(Option<Arc<Admission>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(admission) = self.0.take() {
            admission.next();
        }
    }
}

impl Admission {
    /// So many may run at once. All of them may while only an embedder asks.
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(Crowd {
                running: 0,
                always: places,
                getting_on: 0,
                waiting: VecDeque::new(),
                is_last: false,
            }),
            places,
            wait: WAIT,
        })
    }

    fn state(&self) -> MutexGuard<'_, Crowd> {
        // Nothing in it can be half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    fn limit(&self, state: &Crowd) -> usize {
        self.places
            .min(state.always.saturating_add(state.getting_on))
    }

    /// From now on those who ask may be strangers.
    pub(crate) fn open(&self) {
        self.state().always = ALWAYS;
    }

    /// Lets in more when so many of those inside get on.
    pub(crate) fn getting_on(self: &Arc<Self>, count: usize) {
        let mut state = self.state();
        state.getting_on = count;
        let room = self.limit(&state).saturating_sub(state.running);
        let more = room.min(state.waiting.len());
        state.running += more;
        drop(state);
        for _ in 0..more {
            Arc::clone(self).next();
        }
    }

    /// A place, at once or when there is one.
    ///
    /// # Errors
    /// [`Ended::Busy`] if there was none in time.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Place, Ended> {
        let turn = {
            let mut state = self.state();
            if state.running < self.limit(&state) {
                state.running += 1;
                return Ok(Place(Some(Arc::clone(self))));
            }
            let (sender, turn) = oneshot::channel();
            state.waiting.push_back((Instant::now(), sender));
            turn
        };
        match tokio::time::timeout(self.wait, turn).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Ended::Busy),
        }
    }

    /// Gives a place that became free to somebody who still waits for it.
    fn next(self: Arc<Self>) {
        loop {
            let chosen = {
                let mut state = self.state();
                if state.running > self.limit(&state) {
                    state.running -= 1;
                    return;
                }
                state.waiting.retain(|(_, sender)| !sender.is_closed());
                let pressed = state
                    .waiting
                    .front()
                    .is_some_and(|(since, _)| since.elapsed() > PRESSURE);
                state.is_last = pressed && !state.is_last;
                let chosen = match state.is_last {
                    true => state.waiting.pop_back(),
                    false => state.waiting.pop_front(),
                };
                match chosen {
                    Some((_, sender)) => sender,
                    None => {
                        state.running -= 1;
                        return;
                    }
                }
            };
            match chosen.send(Place(Some(Arc::clone(&self)))) {
                Ok(()) => return,
                // Gone in between: not its place to give back.
                Err(mut place) => drop(place.0.take()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    /// Lets what was spawned run up to its wait.
    async fn settle(admission: &Admission, waiting: usize) {
        while admission.waiting() != waiting {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_first_come_is_first_served_until_there_is_pressure() {
        for (pressed, expected) in [(false, "abcd"), (true, "dacb")] {
            let admission = Admission::new(1);
            let place = admission.enter().await.unwrap();
            let order = Arc::new(Mutex::new(String::new()));
            let mut tasks = Vec::new();
            for (count, name) in ["a", "b", "c", "d"].into_iter().enumerate() {
                let (admission, order) = (Arc::clone(&admission), Arc::clone(&order));
                let door = Arc::clone(&admission);
                tasks.push(tokio::spawn(async move {
                    let _place = admission.enter().await.unwrap();
                    order.lock().unwrap().push_str(name);
                }));
                settle(&door, count + 1).await;
            }
            if pressed {
                for (since, _) in &mut admission.state().waiting {
                    *since = since.checked_sub(2 * PRESSURE).unwrap();
                }
            }
            drop(place);
            for task in tasks {
                task.await.unwrap();
            }
            assert_eq!(*order.lock().unwrap(), expected);
            assert_eq!(admission.state().running, 0);
        }
    }

    #[tokio::test]
    async fn more_run_while_those_inside_get_on() {
        let admission = Admission::new(ALWAYS + 3);
        admission.open();
        let mut places = Vec::new();
        for _ in 0..ALWAYS {
            places.push(admission.enter().await.unwrap());
        }
        let inside = Arc::new(Mutex::new(Vec::new()));
        for count in 1..=5 {
            let (door, inside) = (Arc::clone(&admission), Arc::clone(&inside));
            tokio::spawn(async move {
                let place = door.enter().await.unwrap();
                inside.lock().unwrap().push(place);
            });
            settle(&admission, count).await;
        }
        admission.getting_on(2);
        settle(&admission, 3).await;
        admission.getting_on(ALWAYS);
        settle(&admission, 2).await;
        assert_eq!(admission.state().running, ALWAYS + 3, "never more than fit");
        // Places that are given back are not given again while too many run.
        admission.getting_on(0);
        drop(places);
        settle(&admission, 0).await;
        tokio::task::yield_now().await;
        drop(std::mem::take(&mut *inside.lock().unwrap()));
        while admission.state().running > 0 {
            tokio::task::yield_now().await;
            drop(std::mem::take(&mut *inside.lock().unwrap()));
        }
    }

    #[tokio::test]
    async fn a_wait_is_bounded_and_leaves_nothing_behind() {
        let mut admission = Admission::new(1);
        Arc::get_mut(&mut admission).unwrap().wait = Duration::ZERO;
        let place = admission.enter().await.unwrap();
        assert_eq!(admission.enter().await.err(), Some(Ended::Busy));
        drop(place);
        assert_eq!(admission.state().running, 0);
        let _place = admission.enter().await.unwrap();
    }
}
