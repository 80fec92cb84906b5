//! Processor time of one operation.
//!
//! What counts is the time an instance's future is polled. Work that moves bytes is paid for by the
//! bytes, so that a large image is never too large; what remains is what a guest computes. The
//! epoch's ticks let a long computation yield, and end it at the limit.

use std::{
    cell::Cell,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use wasmtime::UpdateDeadline;

use super::{Ended, Ticker};
use crate::rounds::Rounds;

/// Nanoseconds granted for each byte that is moved: a guest that reads 25 MB/s or more never
/// reaches its limit. Parsing headers of tiny files is the slowest that is done to bytes, at
/// some 200 MB/s.
const NANOS_PER_BYTE: u64 = 40;
/// How long those in a shared instance wait for one of them that computes. It begins again alone
/// then, as the others do. Where one of them has begun to answer, the instance takes no more requests
/// instead, and ends those it has.
pub(crate) const STREAK: Duration = Duration::from_secs(1);

thread_local! {
    /// Bytes moved in the poll that is under way.
    static MOVED: Cell<u64> = const { Cell::new(0) };
}

/// Says that the operation whose instance is polled now moved bytes.
pub(crate) fn moved(bytes: usize) {
    MOVED.set(MOVED.get().saturating_add(bytes as u64));
}

/// Measures an operation, or an instance that is shared.
pub(crate) struct Meter {
    /// What atomics count from.
    begun: Instant,
    /// Most time of one operation; of a shared instance that ends what it has, without a pause.
    limit: Duration,
    shared: bool,
    /// Answers of a shared instance that cannot begin again.
    answering: AtomicUsize,
    /// Whether it ends what it has.
    tired: AtomicBool,
    /// Nanoseconds of ended polls, less those that were granted.
    busy: AtomicU64,
    /// When the present poll began, in nanoseconds, and 0 outside of polls.
    entered: AtomicU64,
    /// Whether the present poll ends because the guest has to yield.
    yielding: AtomicBool,
}

impl Meter {
    /// For an operation alone in its instance.
    pub(crate) fn alone(limit: Duration) -> Arc<Self> {
        Self::new(limit, false)
    }

    /// For an instance that operations share.
    pub(crate) fn shared(limit: Duration) -> Arc<Self> {
        Self::new(limit, true)
    }

    fn new(limit: Duration, shared: bool) -> Arc<Self> {
        Arc::new(Self {
            begun: Instant::now(),
            limit,
            shared,
            answering: AtomicUsize::new(0),
            tired: AtomicBool::new(false),
            busy: AtomicU64::new(0),
            entered: AtomicU64::new(0),
            yielding: AtomicBool::new(false),
        })
    }

    /// Begins with the next operation, or the next shared instance.
    pub(crate) fn reset(&self) {
        self.busy.store(0, Relaxed);
        self.tired.store(false, Relaxed);
    }

    /// Whether the instance takes no more requests.
    pub(crate) fn is_tired(&self) -> bool {
        self.tired.load(Relaxed)
    }

    /// An answer is sent that cannot begin again: until this is dropped the instance is left to end it.
    pub(crate) fn begins(self: Arc<Self>) -> Patience {
        self.answering.fetch_add(1, Relaxed);
        Patience(self)
    }

    /// Whether the instance computes, right now or once it has its turn again.
    pub(crate) fn is_running(&self) -> bool {
        self.entered.load(Relaxed) != 0 || self.yielding.load(Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// What a guest has to do that meets the end of an epoch.
    ///
    /// # Errors
    /// If it is at its limit.
    pub(crate) fn tick(&self) -> wasmtime::Result<UpdateDeadline> {
        let running = self.now().saturating_sub(self.entered.load(Relaxed));
        let busy = self.busy.load(Relaxed).saturating_add(running);
        let mut limit = self.limit;
        if self.shared && u128::from(busy) > STREAK.as_nanos() {
            match self.answering.load(Relaxed) {
                0 => limit = STREAK,
                _ => self.tired.store(true, Relaxed),
            }
        }
        if u128::from(busy) > limit.as_nanos() {
            return Err(wasmtime::Error::new(match self.shared {
                true => Ended::Hogged,
                false => Ended::Compute(self.limit),
            }));
        }
        self.yielding.store(true, Relaxed);
        Ok(UpdateDeadline::Yield(1))
    }

    fn enter(&self) {
        self.yielding.store(false, Relaxed);
        MOVED.set(0);
        self.entered.store(self.now().max(1), Relaxed);
    }

    fn leave(&self) {
        let took = self.now().saturating_sub(self.entered.swap(0, Relaxed));
        if self.shared && !self.yielding.load(Relaxed) {
            self.busy.store(0, Relaxed);
            return;
        }
        let granted = MOVED.get().saturating_mul(NANOS_PER_BYTE);
        let busy = self.busy.load(Relaxed).saturating_add(took);
        self.busy.store(busy.saturating_sub(granted), Relaxed);
    }
}

/// See [`Meter::begins`].
pub(crate) struct Patience(Arc<Meter>);

impl Drop for Patience {
    fn drop(&mut self) {
        self.0.answering.fetch_sub(1, Relaxed);
    }
}

/// A future that runs guest code, measured.
pub(crate) struct Metered<F> {
    future: Pin<Box<F>>,
    meter: Arc<Meter>,
    ticker: Arc<Ticker>,
    rounds: Rounds,
}

impl<F: Future> Metered<F> {
    pub(crate) fn new(future: F, meter: Arc<Meter>, ticker: Arc<Ticker>) -> Self {
        Self {
            future: Box::pin(future),
            meter,
            ticker,
            rounds: Rounds::new(),
        }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Self {
            future,
            meter,
            ticker,
            rounds,
        } = &mut *self;
        let _ticking = ticker.enter();
        let round = |cx: &mut Context<'_>| {
            meter.enter();
            let polled = future.as_mut().poll(cx);
            meter.leave();
            polled
        };
        rounds.poll(cx, round, || meter.yielding.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use wasmtime::{Config, Instance, Module, Store};

    use super::*;

    /// `(module (func (export "run") (loop (br 0))))`: computes for ever.
    const COMPUTES: [u8; 38] = *b"\0asm\x01\0\0\0\
        \x01\x04\x01\x60\0\0\
        \x03\x02\x01\0\
        \x07\x07\x01\x03run\0\0\
        \x0a\x09\x01\x07\0\x03\x40\x0c\0\x0b\x0b";

    fn poll(meter: &Meter, took: Duration, bytes: usize) -> wasmtime::Result<UpdateDeadline> {
        meter.enter();
        // As if the poll had begun that long ago.
        meter
            .busy
            .fetch_add(took.as_nanos().try_into().unwrap(), Relaxed);
        moved(bytes);
        let ticked = meter.tick();
        meter.leave();
        ticked
    }

    #[test]
    fn an_operation_ends_at_its_limit_whatever_its_polls() {
        let meter = Meter::alone(Duration::from_secs(10));
        for _ in 0..9 {
            poll(&meter, Duration::from_secs(1), 0).unwrap();
        }
        let error = poll(&meter, Duration::from_secs(2), 0).err().unwrap();
        assert_eq!(Ended::of(&error), Ended::Compute(Duration::from_secs(10)));
        meter.reset();
        poll(&meter, Duration::from_secs(9), 0).unwrap();
    }

    #[test]
    fn moving_bytes_is_paid_for_by_the_bytes() {
        let meter = Meter::alone(Duration::from_secs(2));
        for _ in 0..100 {
            poll(&meter, Duration::from_secs(1), 25_000_000).unwrap();
        }
    }

    #[test]
    fn a_shared_instance_may_only_not_be_held_up() {
        let limit = Duration::from_secs(10);
        let meter = Meter::shared(limit);
        for _ in 0..100 {
            poll(&meter, STREAK / 2, 0).unwrap();
            // A poll that ends by itself.
            meter.enter();
            meter.leave();
        }
        poll(&meter, STREAK / 2, 0).unwrap();
        let error = poll(&meter, STREAK, 0).err().unwrap();
        assert_eq!(Ended::of(&error), Ended::Hogged);
    }

    #[test]
    fn a_shared_instance_that_answers_ends_that() {
        let limit = Duration::from_secs(10);
        let meter = Meter::shared(limit);
        let begun = Arc::clone(&meter).begins();
        poll(&meter, STREAK / 2, 0).unwrap();
        assert!(!meter.is_tired());
        poll(&meter, STREAK, 0).unwrap();
        assert!(meter.is_tired());
        let error = poll(&meter, limit, 0).err().unwrap();
        assert_eq!(Ended::of(&error), Ended::Hogged);
        meter.reset();
        assert!(!meter.is_tired());
        drop(begun);
        assert!(poll(&meter, 2 * STREAK, 0).is_err());
    }

    /// On one thread, where nobody else has a turn unless the guest lets them.
    #[tokio::test]
    async fn who_computes_lets_others_have_their_turn() {
        let engine = wasmtime::Engine::new(Config::new().epoch_interruption(true)).unwrap();
        let module = Module::new(&engine, COMPUTES).unwrap();
        let ticker = Ticker::new(&engine).unwrap();
        // Reached by one that never yields, which fails then instead of going on for ever.
        let meter = Meter::alone(Duration::from_secs(10));
        let mut store = Store::new(&engine, ());
        // As instances have it.
        let ticked = Arc::clone(&meter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| ticked.tick());
        let instance = Instance::new_async(&mut store, &module, &[]).await;
        let run = instance
            .unwrap()
            .get_typed_func::<(), ()>(&mut store, "run");
        let run = run.unwrap();
        let computation = Metered::new(run.call_async(&mut store, ()), meter, ticker);
        let other = tokio::spawn(async {});
        tokio::select! {
            biased;
            ended = computation => panic!("nobody else had a turn before: {ended:?}"),
            turn = other => turn.unwrap(),
        }
    }
}
