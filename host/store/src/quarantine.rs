//! Damaged blobs that were moved out of the way, for people to look at.

use std::fs;

use crate::error::Doing as _;
use crate::open::Inner;
use crate::{Digest, Error, damage, layout};

/// Moves a damaged blob away; from now on it is not here.
pub(crate) fn quarantine(inner: &Inner, digest: &Digest) -> Result<(), Error> {
    let doing = || format!("moving {digest} to quarantine");
    let not_damaged = || {
        Error::Conflict(format!(
            "blob {digest} is not known to be damaged; verify it first"
        ))
    };
    let stamp = inner.layout.stamp(digest)?.ok_or_else(not_damaged)?;
    if damage::check(inner, digest, stamp).is_ok() {
        return Err(not_damaged());
    }
    let directory = inner.layout.quarantine();
    layout::make(&directory)?;
    let target = directory.join(format!("{}-{}", digest.algorithm().name(), digest.hex()));
    inner.layout.move_blob(digest, &target)?;
    let moved = fs::metadata(&target).doing(doing)?;
    if damage::Stamp::of(&moved) != stamp {
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
