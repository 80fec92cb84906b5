//! Undoing compression: five forms, cut short, damaged, from readers of all kinds.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::io::{self, Cursor, Read, Write as _};
use std::process::{Command, Stdio};

use strata_codec::{DecoderMemory, Error, Kind, Room};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

type Compress = fn(&[u8]) -> Vec<u8>;

/// Each with the length of what it is recognised by.
const FORMS: [(&str, Compress, usize); 4] = [
    ("gzip", gzip, 3),
    ("zstd", zstd, 4),
    ("bzip2", bzip2, 8),
    ("xz", xz, 6),
];

fn room() -> Room {
    DecoderMemory::default().room(None, || {})
}

fn decompress(reader: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    strata_codec::decompress(reader, room())
}

fn read(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    read_from(Cursor::new(bytes))
}

fn read_from(reader: impl Read + Send + 'static) -> io::Result<Vec<u8>> {
    let mut output = Vec::new();
    decompress(reader)?.read_to_end(&mut output)?;
    Ok(output)
}

fn is_invalid<T>(result: &io::Result<T>) -> bool {
    let error = result.as_ref().err().and_then(io::Error::get_ref);
    let reason = error.and_then(|error| error.downcast_ref());
    matches!(reason, Some(Error::Invalid(_)))
}

/// Bytes that compress, but not to nothing.
fn text(length: usize) -> Vec<u8> {
    noise(length).iter().map(|byte| b'a' + byte % 16).collect()
}

#[test]
fn every_form_in_one_part_or_several_comes_back() {
    for (name, compress, _) in FORMS {
        for length in [0, 1, 400_000] {
            let plain = text(length);
            assert!(read(compress(&plain)).unwrap() == plain, "{name} {length}");
            let mut parts = compress(&plain[..length / 3]);
            parts.extend(compress(b""));
            parts.extend(compress(&plain[length / 3..]));
            assert!(read(parts).unwrap() == plain, "{name} {length} in parts");
        }
    }
    let mut skippable = vec![0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'x', b'y', b'z'];
    skippable.extend(zstd(b"hello"));
    assert_eq!(read(skippable).unwrap(), b"hello");
    let mut padded = xz(b"hello");
    padded.extend([0; 8]);
    padded.extend(xz(b" world"));
    assert_eq!(read(padded).unwrap(), b"hello world");
}

#[test]
fn everything_else_is_passed_through() {
    let mut tar = vec![0; 2048];
    tar[..10].copy_from_slice(b"BZh91AY&SY");
    tar[257..262].copy_from_slice(b"ustar");
    for plain in [
        vec![],
        b"a".to_vec(),
        b"BZh9 is how this text starts".to_vec(),
        noise(300_000),
        tar,
    ] {
        assert!(read(plain.clone()).unwrap() == plain);
    }
}

/// Gives one byte at a time, and is interrupted before each.
struct Trickle {
    bytes: Cursor<Vec<u8>>,
    interrupt: bool,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(1);
        self.bytes.read(&mut buffer[..length])
    }
}

#[test]
fn a_reader_may_give_little_and_be_interrupted() {
    let plain = text(50_000);
    for (name, compress, _) in FORMS {
        let trickle = Trickle {
            bytes: Cursor::new(compress(&plain)),
            interrupt: false,
        };
        assert!(read_from(trickle).unwrap() == plain, "{name}");
    }
}

#[test]
fn cut_at_any_byte_is_an_error() {
    for (name, compress, recognised) in FORMS {
        for plain in [text(0), text(400)] {
            let whole = compress(&plain);
            assert_eq!(read(whole.clone()).unwrap(), plain);
            for length in recognised..whole.len() {
                let result = read(whole[..length].to_vec());
                assert!(
                    is_invalid(&result),
                    "{name} cut at {length} of {}: {result:?}",
                    whole.len()
                );
            }
        }
    }
}

#[test]
fn damage_is_an_error_and_stays_one() {
    let plain = text(300_000);
    for (name, compress, _) in FORMS {
        let mut bytes = compress(&plain);
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x55;
        let mut reader = decompress(Cursor::new(bytes)).unwrap();
        let mut output = Vec::new();
        // zstd's encoder writes no checksum unless asked.
        match reader.read_to_end(&mut output) {
            Ok(_) => assert!(name == "zstd" && output != plain, "{name}"),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                let again = reader.read(&mut [0; 9]).unwrap_err();
                assert_eq!(error.to_string(), again.to_string());
            }
        }
        let mut trailing = compress(&plain);
        trailing.extend(b"garbage");
        let result = read(trailing);
        assert!(is_invalid(&result), "{name}");
    }
}

/// Fails after its bytes.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the client left",
            )),
            read => Ok(read),
        }
    }
}

#[test]
fn errors_of_the_reader_are_not_taken_for_damage() {
    for (name, compress, _) in FORMS {
        let mut bytes = compress(&noise(100_000));
        bytes.truncate(bytes.len() / 2);
        let error = read_from(Failing(Cursor::new(bytes))).unwrap_err();
        assert_eq!(error.to_string(), "the client left", "{name}");
        assert!(Error::of(error).is_err(), "{name}");
    }
    let error = read_from(Failing(Cursor::new(vec![1; 10]))).unwrap_err();
    assert!(Error::of(error).is_err());
}

/// Whether reading has to wait.
fn waits(reader: &mut impl Read) -> bool {
    let read = reader.read(&mut [0; 4096]);
    read.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

#[test]
fn a_decoder_takes_its_memory_out_of_what_there_is_for_all() {
    let plain = text(400_000);
    let long = |log: u32| {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(log).unwrap();
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    let ninth = {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 9);
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    };
    let memory = DecoderMemory::default();
    let open = |bytes: &[u8]| {
        let room = memory.room(None, || {});
        strata_codec::decompress(Cursor::new(bytes.to_vec()), room).unwrap()
    };
    let mut first = open(&long(27));
    let mut start = vec![0; 100_000];
    first.read_exact(&mut start).unwrap();
    // Whoever needs little does not notice.
    for compressed in [
        gzip(&plain),
        zstd(&plain),
        bzip2(&plain),
        xz(&plain),
        long(23),
    ] {
        let mut output = Vec::new();
        open(&compressed).read_to_end(&mut output).unwrap();
        assert!(output == plain);
    }
    // One that begins with an ordinary frame, as well as others.
    let both = [zstd(&plain), long(26)].concat();
    for compressed in [long(24), long(27), ninth, both] {
        let mut second = open(&compressed);
        let mut output = Vec::new();
        let error = second.read_to_end(&mut output).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(waits(&mut second) && memory.waiting(Kind::Long) == 1);
        drop(first);
        second.read_to_end(&mut output).unwrap();
        assert!(output.ends_with(&plain));
        drop(second);
        first = open(&long(27));
        first.read_exact(&mut start).unwrap();
    }
}

#[test]
fn too_long_a_window_is_refused_in_words() {
    // A frame of zstd whose window is 144 MiB.
    let frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 0x89, 1, 0, 0];
    for frame in [frame.clone(), [zstd(b"hello"), frame].concat()] {
        let mut reader = decompress(Cursor::new(frame)).unwrap();
        for _ in 0..2 {
            let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
            let Ok(Error::Invalid(text)) = Error::of(error) else {
                panic!("it is invalid")
            };
            assert!(text.contains("a window of 150994944 bytes"), "{text}");
        }
    }
}

#[test]
fn a_huge_xz_dictionary_is_refused() {
    let mut bytes = xz(b"hello");
    // The block header: its size, flags, then filter 0x21 with one byte for the dictionary.
    assert_eq!(bytes[14..16], [0x21, 1]);
    let end = 12 + (usize::from(bytes[12]) + 1) * 4 - 4;
    // 64 MiB as of `xz -9`, 128 MiB, 192 MiB, 4 GiB.
    for (dictionary, allowed) in [(28, true), (30, true), (31, false), (40, false)] {
        bytes[16] = dictionary;
        let mut crc = flate2::Crc::new();
        crc.update(&bytes[12..end]);
        bytes[end..end + 4].copy_from_slice(&crc.sum().to_le_bytes());
        let result = read(bytes.clone());
        if allowed {
            assert_eq!(result.unwrap(), b"hello");
        } else {
            assert!(is_invalid(&result), "{result:?}");
        }
    }
}

#[test]
fn what_the_usual_tools_write_is_read() {
    // More than one block of bzip2.
    let plain = text(1_200_000);
    for command in [
        &["gzip", "-9"][..],
        &["zstd", "-12", "--long=27"],
        &["bzip2", "-9"],
        &["xz", "-9e"],
        &["xz", "--check=sha256", "--block-size=500000"],
        &["xz", "--x86", "--lzma2=preset=1", "--check=none"],
    ] {
        let child = Command::new(command[0])
            .args(&command[1..])
            .arg("-c")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let Ok(mut child) = child else {
            println!("skipped: there is no {}", command[0]);
            continue;
        };
        let mut stdin = child.stdin.take().unwrap();
        let input = plain.clone();
        let writing = std::thread::spawn(move || stdin.write_all(&input).unwrap());
        let output = read_from(child.stdout.take().unwrap()).unwrap();
        writing.join().unwrap();
        assert!(child.wait().unwrap().success());
        assert!(output == plain, "{command:?}");
    }
}

/// Bytes that compress badly and do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
