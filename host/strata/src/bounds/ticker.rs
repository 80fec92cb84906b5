//! The clock that lets a long computation yield. It ticks only while guests run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use wasmtime::Engine;

/// How long a guest runs before it yields. `/_ping` has 50 ms, and two or three may run before it.
const TICK: Duration = Duration::from_millis(5);
/// Ticks in vain after which the clock stops.
const IDLE_TICKS: u32 = 40;

/// Makes the epochs of an engine.
pub(crate) struct Ticker {
    state: Arc<Clock>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Clock {
    /// Polls of instances under way.
    running: AtomicUsize,
    /// Whether the clock stands.
    stopped: AtomicBool,
    /// Whether the engine is gone.
    ended: AtomicBool,
}

/// A poll of an instance under way.
pub(crate) struct Ticking<'a>(&'a Clock);

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

impl Ticker {
    /// A clock that stands.
    ///
    /// # Errors
    /// If there is no thread for it.
    pub(crate) fn new(engine: &Engine) -> std::io::Result<Arc<Self>> {
        let state = Arc::new(Clock::default());
        let engine = engine.weak();
        let thread = {
            let state = Arc::clone(&state);
            let tick = move || {
                engine
                    .upgrade()
                    .map(|engine| engine.increment_epoch())
                    .is_some()
            };
            thread::Builder::new()
                .name("strata-ticker".to_owned())
                .spawn(move || run(&state, tick))?
        };
        Ok(Arc::new(Self {
            state,
            thread: Some(thread),
        }))
    }

    /// Ticks until what is returned is dropped.
    pub(crate) fn enter(&self) -> Ticking<'_> {
        self.state.running.fetch_add(1, SeqCst);
        if self.state.stopped.load(SeqCst) {
            self.wake();
        }
        Ticking(&self.state)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.ended.store(true, SeqCst);
        self.wake();
    }
}

fn run(state: &Clock, mut tick: impl FnMut() -> bool) {
    let mut idle = 0;
    while !state.ended.load(SeqCst) {
        if state.running.load(SeqCst) > 0 {
            idle = 0;
        } else {
            idle += 1;
        }
        if idle < IDLE_TICKS {
            thread::sleep(TICK);
            if !tick() {
                return;
            }
            continue;
        }
        state.stopped.store(true, SeqCst);
        // Looked at after it is said, as `enter` counts before it looks.
        if state.running.load(SeqCst) == 0 && !state.ended.load(SeqCst) {
            thread::park();
        }
        state.stopped.store(false, SeqCst);
        idle = 0;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn it_ticks_while_somebody_runs_and_stands_while_nobody_does() {
        let engine = Engine::default();
        let ticker = Ticker::new(&engine).unwrap();
        let stands = || ticker.state.stopped.load(SeqCst);
        for _ in 0..2 {
            while !stands() {
                thread::yield_now();
            }
            let ticking = ticker.enter();
            while stands() {
                thread::yield_now();
            }
            drop(ticking);
        }
    }
}
