//! Faults for tests: a trap, or a word to the test, at a call of the component that a number names.
//!
//! A host function that fails traps its caller, just as an `unreachable` of the component's own
//! does, so every moment of an operation at which it holds something can be the moment it dies.

#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The fault that is armed.
#[derive(Default)]
pub(crate) struct Faults(Mutex<Option<Fault>>);

struct Fault {
    /// Calls that pass first.
    left: usize,
    kind: Kind,
}

enum Kind {
    Trap,
    Tell(oneshot::Sender<()>),
}

impl Faults {
    /// Traps the call after the next `calls`.
    fn trap_after(&self, calls: usize) {
        *self.armed() = Some(Fault {
            left: calls,
            kind: Kind::Trap,
        });
    }

    /// Tells when the call after the next `calls` has begun.
    fn tell_after(&self, calls: usize) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        *self.armed() = Some(Fault {
            left: calls,
            kind: Kind::Tell(tell),
        });
        told
    }

    /// Lets every call pass again. Whether the fault had struck.
    fn disarm(&self) -> bool {
        self.armed().take().is_none()
    }

    /// A call begins.
    pub(crate) fn strike(&self) -> wasmtime::Result<()> {
        let mut armed = self.armed();
        match armed.take() {
            None => Ok(()),
            Some(Fault { left, kind }) if left > 0 => {
                *armed = Some(Fault {
                    left: left - 1,
                    kind,
                });
                Ok(())
            }
            Some(Fault {
                kind: Kind::Trap, ..
            }) => Err(wasmtime::Error::msg("a trap that a test asked for")),
            Some(Fault {
                kind: Kind::Tell(tell),
                ..
            }) => {
                // The test may have what it wanted.
                let _ = tell.send(());
                Ok(())
            }
        }
    }

    fn armed(&self) -> MutexGuard<'_, Option<Fault>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
