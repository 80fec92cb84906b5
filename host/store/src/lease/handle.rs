//! A lease as its holder has it: it ends when nobody holds it any more.

use std::sync::Arc;

use super::Leases;
use crate::Error;
use crate::sync::blocking;

/// Keeps content from being deleted, and holds locks, until its last clone is dropped.
///
/// Dropping it takes no time: the database is told on another thread. The process's own store
/// knows at once.
#[derive(Clone)]
pub struct Lease(Arc<Held>);

/// What the clones of a lease share.
struct Held {
    leases: Arc<Leases>,
    id: u64,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.0.id).finish()
    }
}

impl Lease {
    /// Starts a lease. Blocks.
    pub(crate) fn acquire(leases: &Arc<Leases>) -> Result<Lease, Error> {
        let id = leases.acquire()?;
        let leases = leases.clone();
        Ok(Lease(Arc::new(Held { leases, id })))
    }

    /// Its number in this store; an error if it is of another.
    pub(crate) fn id(&self, leases: &Arc<Leases>) -> Result<u64, Error> {
        if Arc::ptr_eq(&self.0.leases, leases) {
            return Ok(self.0.id);
        }
        Err(Error::Invalid(format!(
            "lease {} is one of another store",
            self.0.id
        )))
    }

    /// Takes the lock `name` for as long as the lease lives, across processes. False if another
    /// lease has it.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if the name is not 1 to 4096 bytes long; [`Error::NoSpace`],
    /// [`Error::ReadOnly`].
    pub async fn lock(&self, name: &str) -> Result<bool, Error> {
        // A clone, as it must not end before a lock that is taken though nobody waits any more.
        let (lease, name) = (self.clone(), name.to_owned());
        blocking(move || {
            let Held { leases, id } = &*lease.0;
            leases.lock(&name, *id)
        })
        .await
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if !self.leases.release(self.id) {
            return;
        }
        let settling = Settling(self.leases.clone());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || settling.run())),
            Err(_) => settling.run(),
        }
    }
}

/// The task of telling the database. A runtime that ends drops it undone; the next lease that ends
/// then brings a new one.
struct Settling(Arc<Leases>);

impl Settling {
    fn run(self) {
        self.0.settle_all();
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        self.0.stop_settling();
    }
}
