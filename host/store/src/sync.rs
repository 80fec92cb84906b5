//! Locks that outlive a panic, and the bridge from async callers to blocking work.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::Error;

/// Locks, also after a panic elsewhere: no state here is left half-changed across a panic, because
/// what must change together changes inside a database transaction.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs blocking work on the runtime's blocking threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(join) => match join.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Io {
                context: "the runtime is shutting down".into(),
                source: std::io::ErrorKind::Interrupted.into(),
            }),
        },
    }
}
