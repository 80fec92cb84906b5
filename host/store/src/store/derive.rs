//! Data derived from blobs.

use super::Store;
use crate::derived::{self, pack};
use crate::sync::blocking;
use crate::{Digest, Error};

impl Store {
    /// What [`remember`](Store::remember) kept about a blob. `None` if it is gone or not exactly
    /// what it was.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if `kind` is not `[a-z0-9-]+`, at most 32 bytes.
    pub async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>, Error> {
        derived::check_kind(kind)?;
        match derived::stored_size(&self.inner.layout, subject, kind) {
            None => Ok(None),
            Some(size) if size <= derived::INLINE => {
                Ok(derived::recall(&self.inner, subject, kind))
            }
            Some(_) => {
                let (inner, subject, kind) = (self.inner.clone(), subject.clone(), kind.to_owned());
                let _permit = self.inner.derived.permits.acquire().await;
                blocking(move || Ok(derived::recall(&inner, &subject, &kind))).await
            }
        }
    }

    /// Keeps what was derived from a blob and can be derived again: one piece of data of each kind,
    /// until its blob is deleted or the room is needed. Not being able to is no failure.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`] beyond 64 MiB; [`Error::Invalid`] as [`recall`](Store::recall).
    pub async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<(), Error> {
        let (inner, subject, kind) = (self.inner.clone(), subject.clone(), kind.to_owned());
        blocking(move || derived::remember(&inner, &subject, &kind, &data)).await
    }

    /// What [`remember_all`](Store::remember_all) kept about these blobs, in their order. `None` also once the file of
    /// the blob is another, or known to be damaged.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] as [`recall`](Store::recall).
    pub async fn recall_all(
        &self,
        subjects: &[Digest],
        kind: &str,
    ) -> Result<Vec<Option<Vec<u8>>>, Error> {
        let (inner, subjects, kind) = (self.inner.clone(), subjects.to_vec(), kind.to_owned());
        let known = blocking(move || pack::recall(&inner, &subjects, &kind)).await?;
        pack::look_soon(&self.inner);
        Ok(known)
    }

    /// Keeps little data of many blobs together: [`remember`](Store::remember) for what is recalled by the thousand.
    /// All of it may go at once.
    ///
    /// # Errors
    ///
    /// [`Error::TooMuch`] beyond 64 KiB of one blob; [`Error::Invalid`] as [`recall`](Store::recall).
    pub async fn remember_all(
        &self,
        data: Vec<(Digest, Vec<u8>)>,
        kind: &str,
    ) -> Result<(), Error> {
        let (inner, kind) = (self.inner.clone(), kind.to_owned());
        blocking(move || pack::remember(&inner, data, &kind)).await?;
        pack::look_soon(&self.inner);
        Ok(())
    }
}
