//! Time, provided by the host so that tests own it.

use std::time::Duration;

/// A clock and a source of jitter.
pub trait Clock {
    /// Seconds and nanoseconds since 1970-01-01T00:00:00Z.
    fn now(&self) -> (i64, u32);

    /// Resolves after `duration`.
    async fn sleep(&self, duration: Duration);

    /// Any number; spreads retries, so it need not be unpredictable.
    fn random(&self) -> u64;
}
