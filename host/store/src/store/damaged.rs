//! Damage: finding it, and what helps to repair it.

use super::Store;
use crate::layout::Broken;
use crate::sync::blocking;
use crate::{Digest, Error, Verdict, quarantine, source, verify};

impl Store {
    /// Hashes a blob again, and marks it or lifts its mark. Bytes that the disk does not give are damage too. As
    /// many run at once as there are processors. Stops soon if the future is dropped. In a read-only store, or on a
    /// full disk, the mark ends with this process.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be told whether it is here.
    pub async fn verify(&self, digest: &Digest) -> Result<Verdict, Error> {
        verify::verify(&self.parts.damage, &self.parts.verifying, digest).await
    }

    /// Logs that a blob is missing which something here refers to, once. Does nothing if it has come meanwhile.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub async fn note_missing(&self, digest: &Digest) -> Result<(), Error> {
        let (damage, digest) = (self.parts.damage.clone(), digest.clone());
        blocking(move || {
            if damage.layout().stamp(&digest)?.is_none() {
                damage.miss(&digest);
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
        let damage = self.parts.damage.clone();
        blocking(move || damage.all()).await
    }

    /// Moves a damaged blob to `.strata/quarantine`; from now on it is not here.
    ///
    /// # Errors
    ///
    /// [`Error::Conflict`] if it is not known to be damaged; [`Error::Io`], [`Error::ReadOnly`].
    pub async fn quarantine(&self, digest: &Digest) -> Result<(), Error> {
        self.parts.layout.check_writable(digest)?;
        let (damage, digest) = (self.parts.damage.clone(), digest.clone());
        blocking(move || quarantine::quarantine(&damage, &digest)).await
    }

    /// Notes that blobs are in a repository. Of one blob the latest 8 are kept, until it is deleted.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `repository` has not 1 to 1024 bytes, or control characters;
    /// [`Error::NoSpace`], [`Error::ReadOnly`], [`Error::Database`].
    pub async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<(), Error> {
        self.parts.layout.check_writable("sources")?;
        let (names, digests) = (self.parts.names.clone(), digests.to_vec());
        let repository = repository.to_owned();
        blocking(move || source::note(&names, &digests, &repository)).await
    }

    /// Repositories a blob is known to be in, latest first.
    ///
    /// # Errors
    ///
    /// [`Error::Database`].
    pub async fn sources(&self, digest: &Digest) -> Result<Vec<String>, Error> {
        let (names, digest) = (self.parts.names.clone(), digest.clone());
        blocking(move || source::of(&names, &digest)).await
    }

    /// Marks a blob that cannot be read, without waiting for the disk if there is a runtime.
    pub(super) fn tell(&self, digest: &Digest, broken: Broken) {
        let (damage, broken) = (self.parts.damage.clone(), vec![(digest.clone(), broken)]);
        let mark = move || damage.mark_all(broken);
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(mark)),
            Err(_) => mark(),
        }
    }
}
