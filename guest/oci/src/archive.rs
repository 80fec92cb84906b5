//! Image archives: tar as `docker save` and OCI layouts use it, read and written without any I/O.
//!
//! [`Parser`] takes an archive apart as its bytes arrive; [`file_header`], [`directory_header`], [`padding`] and
//! [`END`] put one together; [`layout`] and [`docker`] are what archives have inside. Files are never extracted, so
//! owner, mode and time are left to [`crate::layer`], and names only ever select content: one that leads out of the
//! archive is refused, see [`clean`].
//!
//! Headers are read through the `tar` crate's type for them; its reader is not used, because it pulls from a blocking
//! source.

mod compression;
pub mod docker;
mod entry;
mod extension;
mod frames;
mod head;
pub mod layout;
mod number;
mod parser;
mod path;
mod pax;
mod sparse;
mod writer;

#[cfg(test)]
mod tests;

pub use compression::Compression;
pub use entry::{Entry, Kind};
pub use parser::{Parser, Step};
pub use path::{clean, follow};
pub use sparse::{Fragment, Sparse};
pub use writer::{END, directory_header, file_header, padding};

// Layers are made with these, too.
pub(crate) use frames::{Frame, Frames};
pub(crate) use head::Head;
pub(crate) use pax::{ATTRIBUTE_PREFIX, write as pax_record};
pub(crate) use writer::{Fields, LARGE_FIELD, NAME_FIELD, OWNER_FIELD};

/// The unit of tar: headers fill one, contents are padded to whole ones.
pub const BLOCK: usize = 512;
/// The most entries an archive may have. Archives of thousands of images have tens of thousands; each costs at least a
/// block, so this many are half a gigabyte of nothing.
pub const MAX_ENTRIES: u64 = 1_000_000;
/// The longest name or link target, in bytes: Linux's `PATH_MAX`. Names of images' files have about 80.
pub const MAX_NAME_BYTES: usize = 4096;
/// The longest extension header (pax, GNU long name), in bytes, kept whole until its entry comes: Go's limit.
pub const MAX_EXTENSION_BYTES: u64 = 1 << 20;
/// The largest metadata document (`index.json`, `manifest.json`, …), in bytes; those of thousands of images have two
/// million.
pub const MAX_METADATA_BYTES: u64 = 8 << 20;
/// The most values a metadata document may have, see [`values`]. Parsed, the smallest take some hundred bytes each;
/// documents of thousands of images have a tenth as many.
pub const MAX_METADATA_VALUES: usize = 250_000;

/// At least as many as the JSON document has values: what a parser would make of it, before it does.
pub fn values(json: &[u8]) -> usize {
    let starts = json
        .iter()
        .filter(|byte| matches!(byte, b',' | b'{' | b'['));
    1 + starts.count()
}

/// Why an archive is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// The archive is empty: not one byte came.
    #[error("the archive is empty")]
    Empty,
    /// The archive stops where more must come: in a header, or in what one announces.
    #[error("unexpected end of archive after {offset} bytes, it was cut off")]
    Truncated {
        /// Bytes that came.
        offset: u64,
    },
    /// No tar header where one must be, or one that makes no sense.
    #[error("invalid tar header at byte {offset}{}", because(*offset, *reason))]
    Header {
        /// Where the header begins.
        offset: u64,
        /// What is wrong with it; `None` if it is none at all.
        reason: Option<&'static str>,
    },
    /// An extension header (pax, GNU) that breaks its format.
    #[error("invalid tar extension header before byte {offset}: {reason}")]
    Extension {
        /// Where it ends.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More entries than [`MAX_ENTRIES`].
    #[error("the archive has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    /// A name longer than [`MAX_NAME_BYTES`].
    #[error("an archive entry has a name of {size} bytes, the limit is {MAX_NAME_BYTES}")]
    NameTooLong {
        /// Its size in bytes.
        size: usize,
    },
    /// An extension header longer than [`MAX_EXTENSION_BYTES`].
    #[error("a tar extension header has {size} bytes, the limit is {MAX_EXTENSION_BYTES}")]
    ExtensionTooLong {
        /// Its size in bytes.
        size: u64,
    },
    /// A sparse file in an archive of images, whose stored bytes are not its content; layers may have them.
    #[error("archive entry {0:?} is a sparse file, pack the archive without sparse files")]
    Sparse(String),
    /// A name that is absolute or has `..` in it.
    #[error("archive entry {0:?} leads out of the archive")]
    Outside(String),
    /// A link whose target is absolute or above the archive's root.
    #[error("archive entry {path:?} links to {target:?}, out of the archive")]
    LinkOutside {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
}

fn because(offset: u64, reason: Option<&str>) -> String {
    match (offset, reason) {
        (_, Some(reason)) => format!(": {reason}"),
        (0, None) => {
            ": this is no tar archive, plain or compressed with gzip, bzip2, xz or zstd".to_owned()
        }
        (_, None) => String::new(),
    }
}
