//! Where a tar that is made here goes: a saved archive, an export, a part of a container.

use crate::Result;

/// Where a saved archive goes.
pub trait ArchiveSink<B> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] if nobody takes them any more.
    async fn write(&mut self, bytes: Vec<u8>) -> Result<()>;

    /// Takes the next bytes from a body, which has `length` of them.
    ///
    /// # Errors
    /// [`crate::Error::Cancelled`] if nobody takes them any more; [`crate::Error::Unavailable`] if
    /// the body has fewer.
    async fn copy(&mut self, body: B, length: u64) -> Result<()>;
}
