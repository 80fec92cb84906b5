//! Threads for what takes long: beside those that accept, answer pings and read small things, and
//! not before them.

use tokio::runtime::{Builder, Handle, Runtime};

use crate::{Error, Result};

/// How much these threads step back. It makes no difference while nobody else wants the processor.
const NICE: i32 = 5;

/// A runtime of its own for large operations.
pub(super) struct Bulk(Option<Runtime>);

impl Bulk {
    /// As many threads as processors.
    ///
    /// # Errors
    /// [`Error::Host`] if there are no threads.
    pub(super) fn new() -> Result<Self> {
        let runtime = Builder::new_multi_thread()
            .thread_name("strata-bulk")
            .enable_all()
            .on_thread_start(step_back)
            .build()
            .map_err(|error| Error::Host(error.into()))?;
        Ok(Self(Some(runtime)))
    }

    /// To run something there.
    pub(super) fn handle(&self) -> Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            // Only while it is dropped.
            None => Handle::current(),
        }
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // What runs is cancelled and leaves what can be resumed. Waiting for it is not allowed
            // where this may be dropped.
            runtime.shutdown_background();
        }
    }
}

fn step_back() {
    let this = Some(rustix::thread::gettid());
    let nice = rustix::process::getpriority_process(this).unwrap_or(0);
    if let Err(error) = rustix::process::setpriority_process(this, nice + NICE) {
        tracing::debug!("cannot lower the priority of a thread: {error}");
    }
}
