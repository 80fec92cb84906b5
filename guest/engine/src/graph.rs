//! The graph of documents, as a walk sees it that reads one at a time.
//!
//! Whoever needs facts of many stored documents has [`crate::catalog::Walk`], which reads several.

use std::collections::BTreeSet;

use strata_oci::{Descriptor, Digest};

/// Indexes within indexes that are followed. One level is seen in practice; what is pulled
/// can be pushed.
pub(crate) const MAX_INDEX_DEPTH: usize = 4;

/// What is still to be seen: each digest once, so neither repetitions nor circles matter. `T` is
/// what a walk knows of an entry beside its descriptor.
pub(crate) struct Ahead<T> {
    ahead: Vec<(Descriptor, T)>,
    seen: BTreeSet<Digest>,
}

impl<T> Ahead<T> {
    /// These, in their order.
    pub(crate) fn of(entries: impl DoubleEndedIterator<Item = (Descriptor, T)>) -> Self {
        Self {
            ahead: entries.rev().collect(),
            seen: BTreeSet::new(),
        }
    }

    /// Sees these before all that was known, in their order.
    pub(crate) fn enter(&mut self, entries: impl DoubleEndedIterator<Item = (Descriptor, T)>) {
        self.ahead.extend(entries.rev());
    }

    /// Whether this is seen for the first time.
    pub(crate) fn see(&mut self, digest: &Digest) -> bool {
        self.seen.insert(digest.clone())
    }

    /// How many were seen.
    pub(crate) fn seen(&self) -> usize {
        self.seen.len()
    }

    /// The next that was not seen yet; it is now.
    pub(crate) fn next(&mut self) -> Option<(Descriptor, T)> {
        while let Some((entry, known)) = self.ahead.pop() {
            if self.see(&entry.digest) {
                return Some((entry, known));
            }
        }
        None
    }
}
