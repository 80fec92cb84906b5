//! Waiting for a condition, never for a time.

use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Long enough for a loaded two-core machine; reached only when something is wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Looks again and again until `condition` gives a value. Fails, saying `what`, once [`PATIENCE`] is used up.
///
/// # Errors
/// When the condition never held.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {}s for {what}", PATIENCE.as_secs());
        }
        // Between two looks, so that a condition on another process leaves it a processor.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Awaits `future`, but not for ever.
///
/// # Errors
/// When [`PATIENCE`] is used up first.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => Ok(value),
        Err(_) => bail!("waited {}s for {what}", PATIENCE.as_secs()),
    }
}
