//! Leases in memory.

use std::rc::Rc;

use strata_oci::Digest;

use super::Memory;
use crate::{Lease, Result};

/// A lease. A stage keeps it, too.
#[derive(Clone)]
pub struct Held(pub(super) Rc<Hold>);

pub(super) struct Hold {
    pub(super) store: Memory,
    pub(super) id: u64,
}

impl Held {
    pub(super) fn protect(&self, digest: &Digest) {
        let mut leases = self.0.store.0.leases.borrow_mut();
        leases.entry(self.0.id).or_default().insert(digest.clone());
    }
}

impl Lease for Held {
    async fn lock(&self, name: &str) -> Result<bool> {
        let mut locks = self.0.store.0.locks.borrow_mut();
        Ok(*locks.entry(name.to_owned()).or_insert(self.0.id) == self.0.id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let state = &self.store.0;
        state.leases.borrow_mut().remove(&self.id);
        let mut locks = state.locks.borrow_mut();
        locks.retain(|_, holder| *holder != self.id);
    }
}
