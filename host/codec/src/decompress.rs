//! Undoes the compression of layers and archives.
//!
//! The compression is recognised by its magic number, never by a media type or a file name: those
//! are wrong often enough.

use std::io::{self, BufReader, Cursor, Read};
use std::sync::Arc;

use strata_oci::archive::Compression;

use crate::bounded::{Bounded, Progress, Watched};
use crate::memory::{BESIDE, Room};
use crate::{bzip2, xz, zstd};

/// What one stream may cost.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// Largest output in bytes, whatever the compression.
    output: u64,
    /// Largest output of zstd, bzip2 and xz in bytes. They compress zeros 30,000-fold, a
    /// million-fold and 7,000-fold, so their ratio tells nothing; 64 GiB takes minutes to hash.
    dense_output: u64,
    /// gzip yields at most 1032 bytes per byte; what claims more is broken.
    gzip_ratio: u64,
    /// Output that is allowed in any case, as input is counted in whole buffers.
    gzip_slack: u64,
}

const LIMITS: Limits = Limits {
    output: 1 << 40,
    dense_output: 64 << 30,
    gzip_ratio: 1100,
    gzip_slack: 64 << 20,
};

/// Compressed bytes read at once.
const INPUT: usize = 128 * 1024;
/// Bytes of gzip's window and bzip2's largest block, with which it works four times.
const GZIP_WINDOW: u64 = 32 << 10;
const BZIP2_BLOCK: u64 = 4 * 900_000;
/// Reads what `reader` has, decompressed: gzip of any number of members, zstd of any number of
/// frames, bzip2 and xz of any number of streams. Anything else is passed through.
///
/// Reads the first 512 bytes now, so it blocks as `reader` does. Memory depends on what the stream
/// asks for: at most about 130 MiB (zstd, xz), with common settings 10 MiB and less. It is taken out of
/// `room` before the decoder takes it, while the stream is read; what asks for more is refused as invalid.
///
/// Reading fails with the errors of `reader` and `room` as they are. If the stream is damaged, cut short or
/// decompresses to far too much, it fails with one of kind [`io::ErrorKind::InvalidData`] from then
/// on, which has an [`Error::Invalid`](crate::Error::Invalid) inside. The end is only reported if the stream is
/// whole; bytes read before an error may have been wrong.
///
/// # Errors
///
/// Those of reading the first bytes, or of the system if a decoder cannot be made.
pub fn decompress(
    reader: impl Read + Send + 'static,
    room: Room,
) -> io::Result<Box<dyn Read + Send>> {
    decompress_within(LIMITS, reader, room)
}

fn decompress_within(
    limits: Limits,
    mut reader: impl Read + Send + 'static,
    room: Room,
) -> io::Result<Box<dyn Read + Send>> {
    let mut head = Vec::new();
    reader
        .by_ref()
        .take(Compression::HEAD_BYTES as u64)
        .read_to_end(&mut head)?;
    let compression = Compression::of(&head);
    let progress = Arc::new(Progress::default());
    let input = Cursor::new(head).chain(reader);
    let input = Watched::new(input, compression, progress.clone());
    Ok(Box::new(Bounded::new(
        decoder(compression, input, room)?,
        compression,
        limits,
        progress,
    )))
}

/// Whether [`decompress`] passes through what begins so, up to the first 512 bytes.
#[must_use]
pub fn is_plain(head: &[u8]) -> bool {
    Compression::of(head) == Compression::Plain
}

fn decoder(
    compression: Compression,
    input: impl Read + Send + 'static,
    room: Room,
) -> io::Result<Box<dyn Read + Send>> {
    let buffered = |input| BufReader::with_capacity(INPUT, input);
    Ok(match compression {
        Compression::Plain => Box::new(input),
        Compression::Gzip => Box::new(Roomed {
            decoder: flate2::bufread::MultiGzDecoder::new(buffered(input)),
            room,
            bytes: GZIP_WINDOW + BESIDE,
        }),
        Compression::Zstd => Box::new(zstd::Frames::new(buffered(input), room)?),
        Compression::Bzip2 => Box::new(Roomed {
            decoder: bzip2::Streams::new(buffered(input)),
            room,
            bytes: BZIP2_BLOCK + BESIDE,
        }),
        Compression::Xz => Box::new(xz::Streams::new(buffered(input), room)?),
    })
}

/// Bytes a decoder may take before anything comes out: what is read at once, and of bzip2 a whole block.
pub(crate) fn headway(compression: Compression) -> u64 {
    let block = match compression {
        Compression::Bzip2 => 1_000_000,
        Compression::Plain | Compression::Gzip | Compression::Zstd | Compression::Xz => 0,
    };
    block + 4 * INPUT as u64
}

/// Most bytes that may come out of `consumed` bytes.
pub(crate) fn bound(compression: Compression, limits: &Limits, consumed: u64) -> u64 {
    let bound = match compression {
        Compression::Plain => limits.output,
        Compression::Gzip => consumed
            .saturating_mul(limits.gzip_ratio)
            .saturating_add(limits.gzip_slack),
        Compression::Zstd | Compression::Bzip2 | Compression::Xz => limits.dense_output,
    };
    bound.min(limits.output)
}

/// A decoder that always needs the same memory.
struct Roomed<D> {
    decoder: D,
    room: Room,
    bytes: u64,
}

impl<D: Read> Read for Roomed<D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.room.make(self.bytes)?;
        self.decoder.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::io::Write as _;

    use super::*;
    use crate::{DecoderMemory, Error};

    fn room() -> Room {
        DecoderMemory::default().room(None, || {})
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn bombs_are_stopped_at_their_bound() {
        let zeros = vec![0; 4 << 20];
        let tight = Limits {
            dense_output: 1 << 20,
            gzip_ratio: 10,
            gzip_slack: 1 << 20,
            ..LIMITS
        };
        let short = Limits {
            output: 1 << 20,
            ..LIMITS
        };
        for (limits, bomb) in [
            (tight, ::zstd::encode_all(&zeros[..], 1).unwrap()),
            (tight, gzip(&zeros)),
            (tight, bzip2(&zeros)),
            (tight, xz(&zeros)),
            (short, gzip(&zeros)),
            (short, xz(&zeros)),
            (short, zeros),
        ] {
            let mut reader = decompress_within(limits, Cursor::new(bomb), room()).unwrap();
            let mut output = Vec::new();
            let error = reader.read_to_end(&mut output).unwrap_err();
            assert!(output.len() <= 1 << 20, "{} bytes came out", output.len());
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(reader.read(&mut [0; 9]).is_err(), "the error stays");
            let Ok(Error::Invalid(text)) = Error::of(error) else {
                panic!("it is not refused")
            };
            assert!(text.contains("more than"), "{text}");
        }
    }

    #[test]
    fn streams_without_content_are_not_read_for_long() {
        type Encode = fn(&[u8]) -> Vec<u8>;
        let zstd: Encode = |bytes| ::zstd::encode_all(bytes, 1).unwrap();
        for (encode, bytes) in [
            (gzip as Encode, ""),
            (bzip2, ""),
            (xz, ""),
            (zstd, ""),
            (gzip, "a"),
            (bzip2, "a"),
        ] {
            let one = encode(bytes.as_bytes());
            let many = one.repeat((3 << 20) / one.len());
            let mut reader = decompress(Cursor::new(many), room()).unwrap();
            let error = io::copy(&mut reader, &mut io::sink()).unwrap_err();
            let Ok(Error::Invalid(text)) = Error::of(error) else {
                panic!("it is not refused")
            };
            assert!(text.contains("broken or malicious"), "{text}");
        }
        // As parallel compressors and lazily pulled layers are made.
        let noise: Vec<u8> = (0..2_000_000_u32)
            .map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[1])
            .collect();
        for (encode, piece, count) in [
            (gzip as Encode, 300, 4_000),
            (xz, 300, 4_000),
            (zstd, 300, 4_000),
            (bzip2, 300, 900),
            (bzip2, 100_000, 50),
            (bzip2, 2_000_000, 2),
        ] {
            let many = encode(&noise[..piece]).repeat(count);
            let mut reader = decompress(Cursor::new(many), room()).unwrap();
            let size = io::copy(&mut reader, &mut io::sink()).unwrap();
            assert_eq!(size, (piece * count) as u64);
        }
    }

    #[test]
    fn the_best_compression_there_is_passes() {
        let zeros = vec![0; 8_000_000];
        let strict = Limits {
            gzip_slack: 0,
            ..LIMITS
        };
        let mut reader = decompress_within(strict, Cursor::new(gzip(&zeros)), room()).unwrap();
        assert_eq!(
            io::copy(&mut reader, &mut io::sink()).unwrap(),
            zeros.len() as u64
        );
    }
}
