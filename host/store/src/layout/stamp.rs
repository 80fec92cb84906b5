//! What tells one file of a blob from its successor.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Which file it is. What is known of a blob, damage for example, is known of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Size in bytes.
    pub(crate) size: u64,
    /// When its bytes were last changed, in nanoseconds since 1970.
    pub(crate) modified: i64,
    /// Its inode: clocks of file systems are coarse.
    pub(crate) inode: u64,
}

impl Stamp {
    pub(crate) fn new(size: u64, seconds: i64, nanoseconds: i64, inode: u64) -> Stamp {
        Stamp {
            size,
            modified: seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(nanoseconds),
            inode,
        }
    }

    /// Of what cannot be read, so has no bytes that could be right or wrong. As soon as it can be read it
    /// has another stamp.
    pub(crate) fn unreadable(inode: u64) -> Stamp {
        Stamp {
            size: u64::MAX,
            modified: 0,
            inode,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.size.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.modified.to_le_bytes());
        bytes[16..].copy_from_slice(&self.inode.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Stamp> {
        let (size, rest) = bytes.split_first_chunk()?;
        let (modified, rest) = rest.split_first_chunk()?;
        Some(Stamp {
            size: u64::from_le_bytes(*size),
            modified: i64::from_le_bytes(*modified),
            inode: u64::from_le_bytes(rest.try_into().ok()?),
        })
    }

    pub(crate) fn of(metadata: &Metadata) -> Stamp {
        Stamp::new(
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ino(),
        )
    }
}
