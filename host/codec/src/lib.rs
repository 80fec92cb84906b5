//! Work on bytes that is done natively, because a sandbox would take several times as long: decompression.
//!
//! What is decompressed is untrusted, so output and memory are bounded: the former for each stream, the latter
//! for all together ([`DecoderMemory`]). What the bytes mean, a tar or anything else, is not known here, nor
//! where they come from.

mod bounded;
mod buffer;
mod bzip2;
mod decompress;
mod feed;
mod memory;
mod xz;
mod zstd;

pub use buffer::buffer;
pub use decompress::{decompress, is_plain};
pub use feed::{Feed, Input, feed};
pub use memory::{DecoderMemory, Gate, Holder, Kind, Room};

/// Why a stream cannot be decompressed. It travels inside the [`io::Error`](std::io::Error) that reading fails
/// with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data is broken, cut short, or becomes too much.
    #[error("{0}")]
    Invalid(String),
    /// There is no memory for its decoder beside what others do.
    #[error("{0}")]
    Busy(String),
}

impl Error {
    /// The reason inside an error of a reader, if that is why it failed.
    ///
    /// # Errors
    ///
    /// The error itself, if the reader failed for another reason.
    pub fn of(error: std::io::Error) -> Result<Error, std::io::Error> {
        error.downcast()
    }
}
