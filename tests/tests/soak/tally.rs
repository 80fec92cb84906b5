//! What was done in a run, and what was done to it, by kind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

/// Counts of operations and faults.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    operations: Mutex<BTreeMap<&'static str, u64>>,
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    /// An operation that came to its end.
    pub(crate) fn operation(&self, what: &'static str) {
        count(&self.operations, what);
    }

    /// Something that went wrong, as it was meant to.
    pub(crate) fn fault(&self, what: &'static str) {
        count(&self.faults, what);
    }

    /// How often this fault was.
    pub(crate) fn faults(&self, what: &str) -> u64 {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.get(what).copied().unwrap_or_default()
    }
}

fn count(counts: &Mutex<BTreeMap<&'static str, u64>>, what: &'static str) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(what).or_default() += 1;
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, counts) in [("operations", &self.operations), ("faults", &self.faults)] {
            let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
            let sum: u64 = counts.values().sum();
            write!(f, "{sum} {title}:")?;
            for (what, count) in counts.iter() {
                write!(f, " {what} {count},")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}
