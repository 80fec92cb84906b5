//! When a failed transfer is tried again, and how long that waits.

use std::time::Duration;

use strata_oci::Digest;

use super::failure::{Again, Failure};
use crate::{Clock, Event, Progress, Result, Retry};

/// Attempts at one thing without any progress between them: Docker's own number.
pub(crate) const MAX_ATTEMPTS: u32 = 5;
/// Attempts at one thing in all. Only a transfer that is cut again and again
/// after some progress gets here; the next pull resumes where it stopped.
pub(crate) const MAX_ATTEMPTS_IN_ALL: u32 = 200;
/// The first wait. A registry that restarts is back within seconds, so five
/// attempts span about four.
const FIRST_DELAY: Duration = Duration::from_millis(300);
/// The longest wait a back-off grows to.
const MAX_DELAY: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is waited out. A registry that wants more (a
/// daily quota, say) is reported at once, with its number: nobody keeps a
/// `docker pull` open that long.
pub(crate) const MAX_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The attempts at one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    since_progress: u32,
    in_all: u32,
}

impl Attempts {
    /// None failed yet.
    pub(crate) fn new() -> Self {
        Self {
            since_progress: 0,
            in_all: 0,
        }
    }

    /// New bytes came: the peer works, so the count starts again.
    pub(crate) fn progressed(&mut self) {
        self.since_progress = 0;
    }

    /// Takes note of a failed attempt and waits for the next, which is reported.
    ///
    /// # Errors
    /// The failure's own error if there is to be no other attempt.
    pub(crate) async fn wait<C: Clock>(
        &mut self,
        failure: Failure,
        digest: Option<&Digest>,
        clock: &C,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.since_progress += 1;
        self.in_all += 1;
        let delay = match failure.again {
            Again::Later => back_off(self.since_progress, clock.random()),
            Again::After(delay) if delay <= MAX_RETRY_AFTER => delay,
            Again::After(_) | Again::Never => return Err(failure.error),
        };
        if self.since_progress >= MAX_ATTEMPTS || self.in_all >= MAX_ATTEMPTS_IN_ALL {
            return Err(failure.error);
        }
        progress.report(Event::Retry(Retry {
            digest: digest.cloned(),
            attempt: self.since_progress + 1,
            delay: u32::try_from(delay.as_millis()).unwrap_or(u32::MAX),
            reason: failure.error.printable(),
        }));
        clock.sleep(delay).await;
        Ok(())
    }
}

/// Does `attempt` until it succeeds or no further attempt is due.
///
/// # Errors
/// The last failure's error.
pub(crate) async fn retrying<C: Clock, R>(
    digest: Option<&Digest>,
    clock: &C,
    progress: &dyn Progress,
    mut attempt: impl AsyncFnMut() -> Result<R, Failure>,
) -> Result<R> {
    let mut attempts = Attempts::new();
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(failure) => attempts.wait(failure, digest, clock, progress).await?,
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
