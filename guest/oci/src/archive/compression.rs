//! How content is compressed, by its first bytes. Decompressing is the host's.

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

impl Compression {
    /// The number of bytes that tell all of them apart.
    pub const MAGIC_BYTES: usize = 6;

    /// Reads the first bytes; fewer than [`Compression::MAGIC_BYTES`] are all there is.
    pub fn of(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, 0x08, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            [b'B', b'Z', b'h', ..] => Self::Bzip2,
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
