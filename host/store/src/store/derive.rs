//! Data derived from blobs.

use super::Store;
use crate::derived;
use crate::sync::blocking;
use crate::{Digest, Error};

impl Store {
    /// What [`remember`](Store::remember) kept about a blob. `None` if it is gone or not exactly
    /// what it was.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] if `kind` is not `[a-z0-9-]+`, at most 32 bytes.
    pub async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>, Error> {
        derived::check_kind(kind)?;
        let kept = &self.parts.derived;
        match kept.stored_size(subject, kind) {
            None => Ok(None),
            Some(size) if size <= derived::INLINE => Ok(kept.recall(subject, kind)),
            Some(_) => {
                let _permit = kept.permits.acquire().await;
                let (kept, subject, kind) = (kept.clone(), subject.clone(), kind.to_owned());
                blocking(move || Ok(kept.recall(&subject, &kind))).await
            }
        }
    }

    /// Keeps what was derived from a blob and can be derived again: one piece of data of each kind,
    /// until its blob is deleted or the room is needed. Not being able to is no failure.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`] beyond 64 MiB; [`Error::Argument`] as [`recall`](Store::recall).
    pub async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<(), Error> {
        let kept = self.parts.derived.clone();
        let (subject, kind) = (subject.clone(), kind.to_owned());
        blocking(move || kept.remember(&subject, &kind, &data)).await
    }

    /// What [`remember_all`](Store::remember_all) kept about these blobs, in their order. `None` also once the file of
    /// the blob is another, or known to be damaged.
    ///
    /// # Errors
    ///
    /// [`Error::Argument`] as [`recall`](Store::recall).
    pub async fn recall_all(
        &self,
        subjects: &[Digest],
        kind: &str,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let packs = self.parts.derived.packs.clone();
        let (subjects, kind) = (subjects.to_vec(), kind.to_owned());
        let known = blocking(move || packs.recall(&subjects, &kind)).await?;
        self.parts.derived.packs.look_soon();
        Ok(known)
    }

    /// Keeps little data of many blobs together: [`remember`](Store::remember) for what is recalled by the thousand.
    /// All of it may go at once.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`] beyond 64 KiB of one blob; [`Error::Argument`] as [`recall`](Store::recall).
    pub async fn remember_all(
        &self,
        data: Vec<(Digest, Vec<u8>)>,
        kind: &str,
    ) -> Result<(), Error> {
        let (packs, kind) = (self.parts.derived.packs.clone(), kind.to_owned());
        blocking(move || packs.remember(data, &kind)).await?;
        self.parts.derived.packs.look_soon();
        Ok(())
    }
}
