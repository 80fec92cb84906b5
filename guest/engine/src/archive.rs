//! Archives: images out to tar and in from it (docker §4.11, §4.12).
//!
//! Everything streams. What is saved is resolved, checked and leased before the first
//! byte; what is loaded is stored under a lease as it comes, and names are set last, all
//! at once: an archive that turns out bad leaves nothing visible.

#[cfg(test)]
pub(crate) mod kept;
mod load;
mod save;
#[cfg(test)]
mod tests;

use strata_oci::archive::ArchiveError;

use crate::{Error, Result};

/// Where a saved archive goes.
pub trait ArchiveSink<B> {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if nobody takes them any more.
    async fn write(&mut self, bytes: Vec<u8>) -> Result<()>;

    /// Takes the next bytes from a body, which has `length` of them.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if nobody takes them any more; [`Error::Unavailable`] if
    /// the body has fewer.
    async fn copy(&mut self, body: B, length: u64) -> Result<()>;
}

/// What a broken or hostile archive is to a caller.
pub(crate) fn refused(error: ArchiveError) -> Error {
    let message = error.to_string();
    match error {
        ArchiveError::Empty => Error::InvalidArgument("unrecognized image format".to_owned()),
        ArchiveError::Sparse(_) => Error::Unsupported(message),
        ArchiveError::TooManyEntries
        | ArchiveError::NameTooLong { .. }
        | ArchiveError::ExtensionTooLong { .. } => Error::QuotaExceeded(message),
        ArchiveError::Truncated { .. }
        | ArchiveError::Header { .. }
        | ArchiveError::Extension { .. }
        | ArchiveError::Outside(_)
        | ArchiveError::LinkOutside { .. } => Error::InvalidArgument(message),
    }
}

/// Content that breaks its specification or is not what its digest says.
fn invalid(error: impl std::fmt::Display) -> Error {
    Error::invalid(error)
}

/// Text of an archive in an error: quoted, and not more of it than helps.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}\u{2026}", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
