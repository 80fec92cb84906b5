//! Changing names, and removing what no name needs: tag, remove, prune.
//!
//! Names change in one atomic step, guarded by the generation they were read at:
//! whoever loses a race reads again. Content goes only after its last name, and
//! only what no name of any name space reaches ([`crate::garbage`]); what a running
//! operation has leased stays.

mod conflict;
mod prune;
mod remove;
mod remove_platforms;
mod same_reference;
mod tag;
#[cfg(test)]
mod tests;

use crate::{
    Change, Expectation,
    catalog::{ImageName, NAMESPACE},
    naming::dangling,
};

/// The removal of a name as it was read.
fn remove_name(name: &ImageName) -> Change {
    Change::Remove {
        namespace: NAMESPACE.to_owned(),
        name: name.record.name.clone(),
        expected: Expectation::Target(name.record.target.digest.clone()),
    }
}

/// The hidden name that keeps the image of `name` once it has no other, with the
/// same labels.
fn set_dangling(name: &ImageName) -> Change {
    let target = name.record.target.clone();
    Change::Set {
        namespace: NAMESPACE.to_owned(),
        name: dangling(&target.digest),
        target,
        labels: name.record.labels.clone(),
        expected: Expectation::Any,
    }
}
