//! A lease that ends with its operation, however that ends.

use crate::{LeaseId, Result, Store};

/// Protects what an operation reads or brings in until a name does. Released on drop, so
/// a cancelled operation leaves none behind.
pub(crate) struct Lease<'a, S: Store> {
    store: &'a S,
    id: LeaseId,
}

impl<'a, S: Store> Lease<'a, S> {
    /// Starts a lease.
    pub(crate) async fn acquire(store: &'a S) -> Result<Self> {
        let id = store.acquire_lease().await?;
        Ok(Self { store, id })
    }

    /// What the store calls it.
    pub(crate) fn id(&self) -> LeaseId {
        self.id
    }
}

impl<S: Store> Drop for Lease<'_, S> {
    fn drop(&mut self) {
        self.store.release_lease(self.id);
    }
}
