//! Damaged blobs that were moved out of the way, for people to look at.

use std::fs;

use crate::damage::Damage;
use crate::error::Doing as _;
use crate::layout::{self, Place, Stamp};
use crate::{Digest, Error, directory};

/// Moves a damaged blob away; from now on it is not here.
pub(crate) fn quarantine(damage: &Damage, digest: &Digest) -> Result<(), Error> {
    let layout = damage.layout();
    let not_damaged = || {
        Error::Conflict(format!(
            "blob {digest} is not known to be damaged; verify it first"
        ))
    };
    // Before it is judged: what is judged and what is moved must be the same.
    let found = layout.own_metadata(digest).ok_or_else(not_damaged)?;
    let is_good = match layout.look(digest)? {
        Place::Absent => true,
        Place::File(stamp) => damage.check(digest, stamp).is_ok(),
        Place::Broken(_) => false,
    };
    if is_good {
        return Err(not_damaged());
    }
    let directory = layout.quarantine();
    directory::make(&directory)?;
    let target = layout::room_for(&directory, digest, found.is_dir());
    layout.move_blob(digest, &target)?;
    let moved = fs::symlink_metadata(&target).doing(|| format!("moving {digest} to quarantine"))?;
    if Stamp::of(&moved) != Stamp::of(&found) {
        // It was replaced in between, so this is the good one.
        layout.publish(&target, digest)?;
        return Err(not_damaged());
    }
    // Where it is now first: a power cut may show it twice, but not nowhere.
    directory::sync(&directory)?;
    layout.sync(digest.algorithm())?;
    damage.lift(digest);
    Ok(())
}
