//! A lease as its holder has it: it ends when nobody holds it any more.

use std::sync::Arc;

use async_trait::async_trait;

use super::LeaseTable;
use crate::Error;
use crate::backend::{Hold, Lease};
use crate::sync::blocking;

/// What the clones of a lease share. When it is dropped the database is told on another thread; the process's
/// own store knows at once.
struct Held {
    leases: Arc<LeaseTable>,
    id: u64,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Held").field(&self.id).finish()
    }
}

#[async_trait]
impl Hold for Held {
    async fn lock(self: Arc<Self>, name: String) -> Result<bool, Error> {
        blocking(move || self.leases.lock(&name, self.id)).await
    }
}

/// Starts a lease. Blocks.
pub(crate) fn acquire(leases: &Arc<LeaseTable>) -> Result<Lease, Error> {
    let id = leases.acquire()?;
    let leases = leases.clone();
    Ok(Lease::new(Held { leases, id }))
}

/// The number of a lease among these; an error if it is of another store.
pub(crate) fn id(lease: &Lease, leases: &Arc<LeaseTable>) -> Result<u64, Error> {
    match lease.hold::<Held>() {
        Some(held) if Arc::ptr_eq(&held.leases, leases) => Ok(held.id),
        _ => Err(Error::Invalid(
            "the lease is one of another store".to_owned(),
        )),
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
struct Settling(Arc<LeaseTable>);

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
