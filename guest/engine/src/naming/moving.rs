//! Changing names that others change too: the one loop that does so.

use crate::{Change, Error, Result, Store};

/// How often a change of names is decided again after others changed names meanwhile. Each
/// lost try is another's success, so the crowd of writers bounds it: hundreds that copy into
/// one container at once are honest, and only a storm that never ends gets this far.
pub(crate) const MAX_TRIES: usize = 1000;

/// What is to become of names, as they are.
pub(crate) enum Decision<R> {
    /// Nothing: they are as they shall be.
    Settled(R),
    /// What is there changed while it was looked at: decide again.
    Again,
    /// These changes.
    Change {
        /// All or none of them.
        changes: Vec<Change>,
        /// Applied only if this still is the generation: what was concluded from other names than
        /// those that the changes guard themselves depends on it.
        generation: Option<u64>,
        /// What came of it.
        then: R,
    },
}

/// Changes names as `decide` says, which looks at what is there; again and again while others
/// are faster. It is told whether they were. `names` is what they are names of.
///
/// # Errors
/// As `decide` and the store's `apply`; [`Error::Conflict`] if names never stop changing.
pub(crate) async fn move_names<S: Store, R>(
    store: &S,
    names: &str,
    mut decide: impl AsyncFnMut(bool) -> Result<Decision<R>>,
) -> Result<R> {
    let mut gone_at = None;
    for turn in 0..MAX_TRIES {
        let (changes, generation, then) = match decide(turn > 0).await? {
            Decision::Settled(then) => return Ok(then),
            Decision::Again => continue,
            Decision::Change {
                changes,
                generation,
                then,
            } => (changes, generation, then),
        };
        match store.apply(changes, generation).await {
            Ok(_) => return Ok(then),
            Err(Error::Conflict(_)) => {}
            // The content of a target went before its name was set: it may be no target any more.
            Err(Error::NotFound(_)) if generation.is_some() && gone_at != generation => {
                gone_at = generation;
            }
            Err(error) => return Err(error),
        }
    }
    Err(busy(names))
}

/// What to say when [`MAX_TRIES`] are used up.
pub(crate) fn busy(names: &str) -> Error {
    Error::Conflict(format!("{names} names keep changing, try again"))
}
