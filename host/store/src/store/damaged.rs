//! Damage: finding it, and what helps to repair it.

use super::Store;
use crate::layout::Broken;
use crate::sync::blocking;
use crate::{Digest, Error, Verdict, damage, quarantine, source, verify};

impl Store {
    /// Hashes a blob again, and marks it or lifts its mark. As many run at once as there are
    /// processors. Stops soon if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the disk does not give the bytes; nothing is marked then.
    pub async fn verify(&self, digest: &Digest) -> Result<Verdict, Error> {
        verify::verify(&self.inner, digest).await
    }

    /// Marks a blob as damaged until its file is replaced, and logs that if it is news. One that is
    /// not here is logged as missing, once. In a read-only store, or on a full disk, the mark ends with this
    /// process.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub async fn mark_damaged(&self, digest: &Digest, reason: &str) -> Result<(), Error> {
        let (inner, digest, reason) = (self.inner.clone(), digest.clone(), reason.to_owned());
        blocking(move || {
            match inner.layout.stamp(&digest)? {
                Some(stamp) => damage::mark(&inner, &digest, stamp, &reason),
                None => damage::miss(&inner, &digest),
            }
            Ok(())
        })
        .await
    }

    /// Every blob known to be damaged that is still here, and why, in digest order.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub async fn damaged(&self) -> Result<Vec<(Digest, String)>, Error> {
        let inner = self.inner.clone();
        blocking(move || damage::all(&inner)).await
    }

    /// Moves a damaged blob to `.strata/quarantine`; from now on it is not here.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it is not known to be damaged; [`Error::Io`], [`Error::ReadOnly`].
    pub async fn quarantine(&self, digest: &Digest) -> Result<(), Error> {
        self.inner.check_writable(digest)?;
        let (inner, digest) = (self.inner.clone(), digest.clone());
        blocking(move || quarantine::quarantine(&inner, &digest)).await
    }

    /// Notes that blobs are in a repository. Of one blob the latest 8 are kept, until it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `repository` has not 1 to 1024 bytes, or control characters;
    /// [`Error::NoSpace`], [`Error::ReadOnly`], [`Error::Database`].
    pub async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<(), Error> {
        self.inner.check_writable("sources")?;
        let (inner, digests) = (self.inner.clone(), digests.to_vec());
        let repository = repository.to_owned();
        blocking(move || source::note(&inner, &digests, &repository)).await
    }

    /// Repositories a blob is known to be in, latest first.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn sources(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        let (inner, digest) = (self.inner.clone(), digest.clone());
        blocking(move || source::of(&inner, &digest)).await
    }

    /// Marks a blob that cannot be read, without waiting for the disk if there is a runtime.
    pub(super) fn tell(&self, digest: &Digest, broken: Broken) {
        let (inner, broken) = (self.inner.clone(), vec![(digest.clone(), broken)]);
        let mark = move || damage::mark_all(&inner, broken);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(mark)),
            Err(_) => mark(),
        }
    }
}
