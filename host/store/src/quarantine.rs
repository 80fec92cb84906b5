//! Damaged blobs that were moved out of the way, for people to look at.

use std::fs;

use crate::damage::Stamp;
use crate::error::Doing as _;
use crate::layout::Place;
use crate::open::Inner;
use crate::{Digest, Error, damage, layout};

/// Moves a damaged blob away; from now on it is not here.
pub(crate) fn quarantine(inner: &Inner, digest: &Digest) -> Result<(), Error> {
    let not_damaged = || {
        Error::Conflict(format!(
            "blob {digest} is not known to be damaged; verify it first"
        ))
    };
    // Before it is judged: what is judged and what is moved must be the same.
    let found = inner.layout.own_metadata(digest).ok_or_else(not_damaged)?;
    let is_good = match inner.layout.look(digest)? {
        Place::Absent => true,
        Place::File(stamp) => damage::check(inner, digest, stamp).is_ok(),
        Place::Broken(_) => false,
    };
    if is_good {
        return Err(not_damaged());
    }
    let directory = inner.layout.quarantine();
    layout::make(&directory)?;
    let target = layout::room_for(&directory, digest, found.is_dir());
    inner.layout.move_blob(digest, &target)?;
    let moved = fs::symlink_metadata(&target).doing(|| format!("moving {digest} to quarantine"))?;
    if Stamp::of(&moved) != Stamp::of(&found) {
        // It was replaced in between, so this is the good one.
        inner.layout.publish(&target, digest)?;
        return Err(not_damaged());
    }
    // Where it is now first: a power cut may show it twice, but not nowhere.
    layout::sync_directory(&directory)?;
    inner.layout.sync(digest.algorithm())?;
    damage::lift(inner, digest);
    Ok(())
}
