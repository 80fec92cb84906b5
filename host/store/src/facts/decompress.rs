//! Decompresses a layer, only to hash and count it.
//!
//! The compression is recognised by its magic number, never by a media type: those are wrong often
//! enough. Layers are untrusted, so output and memory are bounded.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt as _;

use crate::digest::Hasher;
use crate::error::Doing as _;
use crate::facts::LayerFacts;
use crate::{Algorithm, Digest, Error};

/// What a layer may cost.
#[derive(Clone, Copy)]
struct Limits {
    /// Largest uncompressed layer in bytes, whatever the compression.
    output: u64,
    /// Largest output of zstd in bytes. It compresses zeros 30,000-fold and more, so its ratio
    /// tells nothing; 64 GiB takes less than two minutes to hash.
    zstd_output: u64,
    /// gzip yields at most 1032 bytes per byte; what claims more is broken.
    gzip_ratio: u64,
    /// Output that is allowed in any case, as input is counted in whole buffers.
    gzip_slack: u64,
}

const LIMITS: Limits = Limits {
    output: 1 << 40,
    zstd_output: 64 << 30,
    gzip_ratio: 1100,
    gzip_slack: 64 << 20,
};

/// Largest zstd window, as its logarithm: 128 MiB, what `zstd -d` and containerd accept.
const ZSTD_WINDOW_LOG: u32 = 27;
/// Compressed bytes read at once.
const INPUT: usize = 128 * 1024;
/// Uncompressed bytes hashed at once.
const OUTPUT: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compression {
    None,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// Computes the facts of a layer. `go_on` is asked every 256 KiB; `None` if it said no.
///
/// [`Error::Invalid`] if the layer does not decompress or exceeds a bound, [`Error::Unsupported`]
/// if it is bzip2 or xz.
pub(super) fn facts(
    digest: &Digest,
    file: File,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<LayerFacts>, Error> {
    facts_within(LIMITS, digest, file, go_on)
}

fn facts_within(
    limits: Limits,
    digest: &Digest,
    file: File,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<LayerFacts>, Error> {
    let mut head = [0; 512];
    let mut length = 0;
    while length < head.len() {
        match file.read_at(&mut head[length..], length as u64) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io(format!("reading {digest}"), error)),
        }
    }
    let consumed = Cell::new(0);
    let input = BufReader::with_capacity(
        INPUT,
        Counting {
            file,
            consumed: &consumed,
        },
    );
    match compression(&head[..length]) {
        Compression::None => hash(digest, input, &|| limits.output, go_on),
        Compression::Gzip => {
            let bound = |consumed: u64| {
                (consumed
                    .saturating_mul(limits.gzip_ratio)
                    .saturating_add(limits.gzip_slack))
                .min(limits.output)
            };
            let decoder = flate2::bufread::MultiGzDecoder::new(input);
            hash(digest, decoder, &|| bound(consumed.get()), go_on)
        }
        Compression::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(input)
                .doing(|| format!("starting to decompress {digest}"))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG)
                .doing(|| format!("starting to decompress {digest}"))?;
            hash(digest, decoder, &|| limits.zstd_output, go_on)
        }
        found @ (Compression::Bzip2 | Compression::Xz) => Err(Error::Unsupported(format!(
            "layer {digest} is compressed with {found:?}; supported are gzip, zstd and none"
        ))),
    }
}

fn hash(
    digest: &Digest,
    mut reader: impl Read,
    bound: &dyn Fn() -> u64,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Option<LayerFacts>, Error> {
    let mut buffer = vec![0; OUTPUT];
    let mut hasher = Hasher::new(Algorithm::Sha256);
    let mut size = 0;
    while go_on() {
        // Filled, as decoders return little at a time.
        let mut length = 0;
        while length < buffer.len() {
            match reader.read(&mut buffer[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The system's own errors have a number, those of a decoder have none.
                Err(error) if error.raw_os_error().is_some() => {
                    return Err(Error::io(format!("reading {digest}"), error));
                }
                Err(error) => {
                    return Err(Error::Invalid(format!(
                        "layer {digest} does not decompress: {error}"
                    )));
                }
            }
        }
        if length == 0 {
            return Ok(Some(LayerFacts {
                diff_id: hasher.finish(),
                size,
            }));
        }
        size += length as u64;
        let bound = bound();
        if size > bound {
            return Err(Error::Invalid(format!(
                "layer {digest} decompresses to more than {bound} bytes; it is broken or malicious"
            )));
        }
        hasher.update(&buffer[..length]);
    }
    Ok(None)
}

fn compression(head: &[u8]) -> Compression {
    // First: the name of a tar's first file may look like any magic number.
    if head.get(257..262) == Some(b"ustar") {
        return Compression::None;
    }
    match head {
        [0x1f, 0x8b, 0x08, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, ..] => Compression::Bzip2,
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
        _ => Compression::None,
    }
}

/// Counts what the decoder was given.
struct Counting<'a> {
    file: File,
    consumed: &'a Cell<u64>,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.consumed.set(self.consumed.get() + read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::{Seek as _, Write as _};

    use super::*;

    fn file(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bombs_are_stopped_at_their_bound() {
        let digest = Digest::of(b"bomb");
        let zeros = vec![0; 8 << 20];
        let zstd = zstd::encode_all(&zeros[..], 19).unwrap();
        let gzip = gzip(&zeros);
        let tight = Limits {
            zstd_output: 1 << 20,
            gzip_ratio: 10,
            gzip_slack: 1 << 20,
            ..LIMITS
        };
        let short = Limits {
            output: 1 << 20,
            ..LIMITS
        };
        for (limits, bomb) in [
            (tight, &zstd),
            (tight, &gzip),
            (short, &gzip),
            (short, &zeros),
        ] {
            let result = facts_within(limits, &digest, file(bomb), &mut || true);
            assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
        }
    }

    #[test]
    fn the_best_compression_there_is_passes() {
        let digest = Digest::of(b"zeros");
        // 200 MB, so that the slack alone would not let it pass.
        let zeros = vec![0; 200_000_000];
        let facts = facts(&digest, file(&gzip(&zeros)), &mut || true)
            .unwrap()
            .unwrap();
        assert_eq!(facts.size, 200_000_000);
        assert_eq!(facts.diff_id, Digest::of(&zeros));
    }

    #[test]
    fn it_stops_when_told() {
        let mut turns = 0;
        let mut go_on = || {
            turns += 1;
            turns < 3
        };
        let stopped = facts(&Digest::of(b""), file(&vec![1; 2 << 20]), &mut go_on).unwrap();
        assert_eq!(stopped, None);
        assert_eq!(turns, 3);
    }
}
