//! The host's clocks and randomness.

use std::time::Duration;

use wasip3::{
    clocks::{monotonic_clock, system_clock},
    random::insecure,
};

/// The engine's clock.
pub(crate) struct HostClock;

impl strata_engine::Clock for HostClock {
    fn now(&self) -> (i64, u32) {
        let now = system_clock::now();
        (now.seconds, now.nanoseconds)
    }

    async fn sleep(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        monotonic_clock::wait_for(nanos).await;
    }

    fn random(&self) -> u64 {
        insecure::get_insecure_random_u64()
    }
}
