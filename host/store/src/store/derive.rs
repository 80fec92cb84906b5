//! Data derived from blobs.

use super::Store;
use crate::sync::blocking;
use crate::{Digest, Error, derived};

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
}
