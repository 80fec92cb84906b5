//! When a failed transfer is tried again, and how long that waits.

use std::time::Duration;

use crate::{Clock, Disposition, RegistryError};

/// Attempts at one thing without any progress between them: Docker's own number.
const MAX_ATTEMPTS: u32 = 5;
/// Attempts at one thing in all. Only a transfer that is cut again and again
/// after some progress gets here; the next pull resumes where it stopped.
const MAX_ATTEMPTS_IN_ALL: u32 = 200;
/// The first wait. A registry that restarts is back within seconds, so five
/// attempts span about four.
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// The longest wait a back-off grows to.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is waited out. A registry that wants more (a
/// daily quota, say) is reported at once, with its number: nobody keeps a
/// `docker pull` open that long.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The attempts at one thing.
#[derive(Debug, Default)]
pub struct Attempts {
    since_progress: u32,
    in_all: u32,
}

impl Attempts {
    /// New bytes came: the peer works, so the count starts again.
    pub fn progressed(&mut self) {
        self.since_progress = 0;
    }

    /// Takes note of a failed attempt and waits for the next, which `report` is told of.
    ///
    /// # Errors
    /// The failure itself if there is to be no other attempt.
    pub async fn wait<C: Clock, E>(
        &mut self,
        failure: RegistryError<E>,
        clock: &C,
        report: impl FnOnce(Retry<E>),
    ) -> Result<(), RegistryError<E>> {
        self.since_progress += 1;
        self.in_all += 1;
        let delay = match failure.disposition {
            Disposition::Retry => back_off(self.since_progress, clock.random()),
            Disposition::RetryAfter(delay) if delay <= MAX_RETRY_AFTER => delay,
            Disposition::RetryAfter(_) | Disposition::GiveUp => return Err(failure),
        };
        if self.since_progress >= MAX_ATTEMPTS || self.in_all >= MAX_ATTEMPTS_IN_ALL {
            return Err(failure);
        }
        report(Retry {
            attempt: self.since_progress + 1,
            delay,
            reason: failure,
        });
        clock.sleep(delay).await;
        Ok(())
    }
}

/// An attempt that is about to be made again.
pub struct Retry<E> {
    /// Which it is, counted from 2.
    pub attempt: u32,
    /// Time until then.
    pub delay: Duration,
    /// Why the one before failed.
    pub reason: RegistryError<E>,
}

/// Does `attempt` until it succeeds or no further attempt is due; `report` is told of each further one.
///
/// # Errors
/// The last failure.
pub async fn retrying<C: Clock, R, E>(
    clock: &C,
    report: impl Fn(Retry<E>),
    mut attempt: impl AsyncFnMut() -> Result<R, RegistryError<E>>,
) -> Result<R, RegistryError<E>> {
    let mut attempts = Attempts::default();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(failure) => attempts.wait(failure, clock, &report).await?,
        }
    }
}

/// Doubles with every failure; half of it is random, so that clients that failed
/// together do not come back together.
fn back_off(failures: u32, random: u64) -> Duration {
    let doubled = FIRST_DELAY.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let half = doubled.min(MAX_DELAY) / 2;
    let range = u64::try_from(half.as_millis()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_millis(random % range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_limit_and_is_spread() {
        for (failures, half) in [(1, 150), (2, 300), (3, 600), (7, 5000), (99, 5000)] {
            let half = Duration::from_millis(half);
            assert_eq!(back_off(failures, 0), half);
            let latest = back_off(failures, u64::MAX);
            assert!(
                half <= latest && latest < 2 * half,
                "{failures}: {latest:?}"
            );
        }
    }
}
