//! Changing names, and removing what no name needs: tag, remove, prune.
//!
//! Names change in one atomic step, guarded by the generation they were read at:
//! whoever loses a race reads again. Content goes only after its last name, and
//! only what no name of any name space reaches ([`mark`]); what a running
//! operation has leased stays.

mod conflict;
mod mark;
mod prune;
mod remove;
mod remove_platforms;
mod same_reference;
mod sweep;
mod tag;
#[cfg(test)]
mod tests;

use crate::{Change, Engine, Error, Expectation, Host, Result, Store, catalog};
use catalog::{DANGLING_PREFIX, ImageName, NAMESPACE};
pub(crate) use mark::Marking;
pub(crate) use sweep::Candidates;

/// How often a change of names is tried again after others changed
/// names meanwhile. Each failure means that someone else succeeded; only a storm
/// of writers gets this far.
const ATTEMPTS: usize = 32;

/// How a change of names went.
enum Applied {
    /// It is durable.
    Done,
    /// Something else changed first: read again.
    Raced,
}

impl<H: Host> Engine<H> {
    /// Applies changes planned at `generation`.
    async fn apply(&self, changes: Vec<Change>, generation: u64) -> Result<Applied> {
        match self.store.apply(changes, Some(generation)).await {
            Ok(_) => Ok(Applied::Done),
            // `NotFound`: the content of a target went before its name was set.
            Err(Error::Conflict(_) | Error::NotFound(_)) => Ok(Applied::Raced),
            Err(error) => Err(error),
        }
    }
}

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
        name: format!("{DANGLING_PREFIX}{}", target.digest),
        target,
        labels: name.record.labels.clone(),
        expected: Expectation::Any,
    }
}

/// What to say when [`ATTEMPTS`] are used up.
fn too_busy() -> Error {
    Error::Conflict("image names keep changing, try again".to_owned())
}
