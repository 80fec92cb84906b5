//! Hashes blobs again, to find those that the disk, or somebody, changed.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::Advice;
use strata_codec::buffer;

use crate::damage::Damage;
use crate::layout::{Broken, Unopened};
use crate::sync::blocking;
use crate::{Digest, Error};
use strata_oci::digest::Hasher;

/// Bytes read at once: they are still in the processor's cache when they are hashed.
const PART: usize = 256 * 1024;

/// What [`verify`](crate::backend::Content::verify) found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are those of the digest; so many.
    Intact(u64),
    /// It is not here.
    Absent,
    /// The bytes are others, or cannot be read: why. It is marked.
    Damaged(String),
}

/// Blobs verified at the same time: more than there are processors only push each other out of the
/// caches.
pub(crate) struct Permits(tokio::sync::Semaphore);

impl Default for Permits {
    fn default() -> Permits {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Permits(tokio::sync::Semaphore::new(processors))
    }
}

/// Verifies a blob. Stops soon after the future is dropped.
pub(crate) async fn verify(
    damage: &Arc<Damage>,
    permits: &Permits,
    digest: &Digest,
) -> Result<Verdict, Error> {
    struct StopOnDrop(Arc<AtomicBool>);
    impl Drop for StopOnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let _permit = permits.0.acquire().await;
    let stop = StopOnDrop(Arc::default());
    let (damage, digest, stopped) = (damage.clone(), digest.clone(), stop.0.clone());
    blocking(move || examine(&damage, &digest, &|| !stopped.load(Ordering::Relaxed))).await
}

/// Verifies a blob on this thread. `go_on` is asked often.
pub(crate) fn examine(
    damage: &Damage,
    digest: &Digest,
    go_on: &dyn Fn() -> bool,
) -> Result<Verdict, Error> {
    let (file, stamp) = match damage.layout().open_blob(digest) {
        Ok(opened) => opened,
        Err(Unopened::Failed(Error::NotFound(_))) => return Ok(Verdict::Absent),
        Err(Unopened::Failed(error)) => return Err(error),
        Err(Unopened::Broken(Broken { stamp, reason })) => {
            damage.mark(digest, stamp, &reason);
            return Ok(Verdict::Damaged(reason));
        }
    };
    // One more byte than it has is enough to tell.
    let most = stamp.size.saturating_add(1);
    let actual = match hash(digest, file, most, go_on) {
        // The disk does not give the bytes.
        Err(Error::Io { context, source }) => {
            let reason = format!("{context}: {source}");
            damage.mark(digest, stamp, &reason);
            return Ok(Verdict::Damaged(reason));
        }
        hashed => hashed?,
    };
    if actual == *digest {
        damage.lift(digest);
        return Ok(Verdict::Intact(stamp.size));
    }
    Ok(Verdict::Damaged(damage.mismatched(digest, stamp, &actual)))
}

/// The digest of a file, or of as many of its bytes as it may have at most.
fn hash(digest: &Digest, file: File, most: u64, go_on: &dyn Fn() -> bool) -> Result<Digest, Error> {
    // Only advice: no harm if it is refused.
    let _ = rustix::fs::fadvise(&file, 0, None, Advice::Sequential);
    let mut file = file.take(most);
    let (mut bytes, start) = buffer(PART);
    bytes.resize(start + PART, 0);
    let bytes = &mut bytes[start..];
    let mut hasher = Hasher::new(digest.algorithm());
    loop {
        if !go_on() {
            return Err(Error::Conflict(format!("verifying {digest} was stopped")));
        }
        match file.read(bytes) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&bytes[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(format!("reading {digest}"), error)),
        }
    }
}

/// Checks bytes at hand against a digest.
pub(crate) fn bytes(expected: &Digest, bytes: &[u8]) -> Result<(), Error> {
    let actual = Digest::of(expected.algorithm(), bytes);
    match actual == *expected {
        true => Ok(()),
        false => Err(Error::DigestMismatch {
            expected: expected.clone(),
            actual,
        }),
    }
}
