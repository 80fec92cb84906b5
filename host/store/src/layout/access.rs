//! What this process may do with a layout, and the name under which it does so.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Layout;
use crate::{Error, owner};

/// Reading only, unless it says otherwise.
#[derive(Default)]
pub(super) struct Access {
    /// The registered owner that writes, `None` if nobody here does.
    owner: Option<String>,
    /// Why nobody does although it would be allowed: the disk is full.
    full: Option<String>,
    /// Temporary files named so far.
    counter: AtomicU64,
}

impl Layout {
    /// The layout as the registered owner `id` writes it.
    pub(crate) fn written_by(mut self, id: &str) -> Layout {
        self.access.owner = Some(id.to_owned());
        self
    }

    /// The layout on a disk so full that it can only be read: `why`.
    pub(crate) fn full(mut self, why: String) -> Layout {
        self.access.full = Some(why);
        self
    }

    /// Whether this process may write it.
    pub(crate) fn is_writable(&self) -> bool {
        self.access.owner.is_some()
    }

    /// Fails in a read-only store; `what` was to be written.
    pub(crate) fn check_writable(&self, what: impl std::fmt::Display) -> Result<(), Error> {
        if self.is_writable() {
            return Ok(());
        }
        if let Some(why) = &self.access.full {
            return Err(Error::NoSpace(format!("{what} cannot be written: {why}")));
        }
        Err(Error::ReadOnly(format!(
            "{what} cannot be written to {}",
            self.root.display()
        )))
    }

    /// A name for a temporary file no other user of this store has.
    pub(crate) fn unique(&self) -> String {
        let owner = self.access.owner.as_deref().unwrap_or_default();
        let number = self.access.counter.fetch_add(1, Ordering::Relaxed);
        format!("{owner}-{number}")
    }

    /// Whether nobody else uses the store.
    pub(crate) fn is_ours_alone(&self) -> Result<bool, Error> {
        let owner = self.access.owner.as_deref().unwrap_or_default();
        Ok(owner::living(&self.owners(), owner)?.is_empty())
    }
}
