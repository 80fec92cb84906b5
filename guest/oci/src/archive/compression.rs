//! How content is compressed, by its first bytes. Decompressing is the host's.

use std::fmt;

use crate::media_type;

/// What the first bytes of some content say about its compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// None of the others: for a layer, plain tar.
    Plain,
    /// gzip.
    Gzip,
    /// zstd, perhaps after a skippable frame.
    Zstd,
    /// bzip2.
    Bzip2,
    /// xz.
    Xz,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
        })
    }
}

impl Compression {
    /// The number of bytes that tell all of them apart: the first block of a tar.
    pub const HEAD_BYTES: usize = 512;

    /// Reads the first bytes; fewer than [`Compression::HEAD_BYTES`] are all there is.
    pub fn of(head: &[u8]) -> Self {
        // First: the name of a tar's first file may look like any magic number.
        if head.get(257..262) == Some(b"ustar") {
            return Self::Plain;
        }
        match head {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            // With the magic number of its first block, or of its end if it has no block: three
            // letters alone are too likely the start of a text or of a file's name.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            _ => Self::Plain,
        }
    }

    /// The media type of a layer stored like this in a Docker image; `None` if there is none.
    pub fn docker_layer(self) -> Option<&'static str> {
        match self {
            Self::Plain => Some(media_type::DOCKER_LAYER),
            Self::Gzip => Some(media_type::DOCKER_LAYER_GZIP),
            Self::Zstd => Some(media_type::DOCKER_LAYER_ZSTD),
            Self::Bzip2 | Self::Xz => None,
        }
    }
}
