//! Layers: deterministic tars (sorted, owned by root, dated 1970), plain or compressed.

pub mod listing;

use crate::debian::{self, Content, Entry};
use anyhow::Result;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::io::Write;

/// How a layer's tar is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    Plain,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// A layer blob and what an image config says about it.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The blob as a registry stores it.
    pub bytes: Bytes,
    /// Digest of [`Self::bytes`].
    pub digest: String,
    /// Digest of the tar inside.
    pub diff_id: String,
    /// Size of the tar inside, in bytes.
    pub plain_size: u64,
    /// How the tar is wrapped.
    pub compression: Compression,
}

impl Layer {
    /// The layer whose tar is `tar`.
    ///
    /// # Errors
    /// When compressing fails.
    pub fn from_tar(tar: &[u8], compression: Compression) -> Result<Self> {
        let bytes = match compression {
            Compression::Plain => Bytes::copy_from_slice(tar),
            Compression::Gzip => {
                let mut gzip =
                    flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                gzip.write_all(tar)?;
                gzip.finish()?.into()
            }
            Compression::Zstd => zstd::encode_all(tar, 3)?.into(),
        };
        Ok(Self {
            digest: sha256(&bytes),
            diff_id: sha256(tar),
            plain_size: tar.len() as u64,
            bytes,
            compression,
        })
    }

    /// A layer of these files.
    ///
    /// # Errors
    /// When a path is too long for a tar header.
    pub fn from_entries(entries: &[Entry], compression: Compression) -> Result<Self> {
        Self::from_tar(&tar(entries)?, compression)
    }

    /// A layer with a Debian package's files.
    ///
    /// # Errors
    /// When the package is not to be had.
    pub fn from_package(name: &str, compression: Compression) -> Result<Self> {
        Self::from_entries(&debian::package(name)?, compression)
    }

    /// A layer with one small text file: cheap, and as distinct as its text.
    ///
    /// # Errors
    /// When the path is too long for a tar header.
    pub fn from_text(path: &str, text: &str, compression: Compression) -> Result<Self> {
        let content = Content::File(Bytes::copy_from_slice(text.as_bytes()));
        Self::from_entries(
            &[Entry {
                path: path.to_owned(),
                mode: 0o644,
                content,
            }],
            compression,
        )
    }

    /// A layer of about `size` bytes that no compressor makes smaller: what a test wants that cuts at byte N.
    ///
    /// # Errors
    /// When compressing fails.
    pub fn noise(seed: u64, size: usize) -> Result<Self> {
        let content = Content::File(noise(seed, size).into());
        let entry = Entry {
            path: format!("noise-{seed}"),
            mode: 0o644,
            content,
        };
        Self::from_entries(&[entry], Compression::Gzip)
    }

    /// The zero-byte blob, which some builders push as a layer.
    #[must_use]
    pub fn zero_bytes() -> Self {
        let digest = sha256(b"");
        let (bytes, diff_id) = (Bytes::new(), digest.clone());
        Self {
            bytes,
            digest,
            diff_id,
            plain_size: 0,
            compression: Compression::Plain,
        }
    }
}

/// A tar of these entries, sorted by path, with nothing of this machine's time or users in it.
///
/// # Errors
/// When a path is too long for a tar header.
pub fn tar(entries: &[Entry]) -> Result<Vec<u8>> {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|a, b| a.path.cmp(&b.path));
    let mut tar = tar::Builder::new(Vec::new());
    for entry in sorted {
        append(&mut tar, entry)?;
    }
    Ok(tar.into_inner()?)
}

/// Adds one entry to a tar under construction.
///
/// # Errors
/// When writing fails or the path is too long for a tar header.
pub fn append(tar: &mut tar::Builder<impl Write>, entry: &Entry) -> Result<()> {
    let mut header = tar::Header::new_gnu();
    header.set_mode(entry.mode);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    match &entry.content {
        Content::Directory => {
            header.set_entry_type(tar::EntryType::Directory);
            tar.append_data(&mut header, format!("{}/", entry.path), std::io::empty())?;
        }
        Content::File(bytes) => {
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, &entry.path, &bytes[..])?;
        }
        Content::Symlink(target) => {
            header.set_entry_type(tar::EntryType::Symlink);
            tar.append_link(&mut header, &entry.path, target)?;
        }
    }
    Ok(())
}

/// `sha256:` and the lower-case hex of the digest.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Bytes that look random and are the same for the same seed (xorshift64*).
#[must_use]
pub fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_layer() {
        for compression in [Compression::Plain, Compression::Gzip, Compression::Zstd] {
            let first = Layer::from_package("hostname", compression).unwrap();
            let again = Layer::from_package("hostname", compression).unwrap();
            assert_eq!(first.digest, again.digest);
            assert_eq!(
                first.diff_id == first.digest,
                compression == Compression::Plain
            );
        }
    }

    #[test]
    fn noise_does_not_compress() {
        let layer = Layer::noise(1, 100_000).unwrap();
        assert!(layer.bytes.len() > 100_000 - 1000);
    }
}
