//! What no honest tool writes.

use super::{archive, raw, read, with_content};
use crate::archive::{ArchiveError, MAX_EXTENSION_BYTES, MAX_NAME_BYTES};

/// An extension header with its content.
fn extension(flag: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = with_content("x", content);
    let head = raw("x", flag, content.len() as u64, |_| {});
    bytes[..512].copy_from_slice(&head);
    bytes
}

#[test]
fn broken_headers_are_refused() {
    let rows: [(&str, Vec<u8>); 9] = [
        ("no tar", vec![b'x'; 512]),
        ("wrong checksum", {
            let mut bytes = raw("a", b'0', 0, |_| {});
            bytes[0] = b'b';
            bytes
        }),
        ("checksum is no number", {
            let mut bytes = raw("a", b'0', 0, |_| {});
            bytes[148..156].fill(b'z');
            bytes
        }),
        ("size is no number", {
            raw("a", b'0', 0, |block| block[124..136].fill(b'9'))
        }),
        ("negative size", {
            raw("a", b'0', 0, |block| block[124..136].fill(0xff))
        }),
        ("size beyond 63 bits", {
            raw("a", b'0', 0, |block| {
                block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0]);
            })
        }),
        ("size beyond 64 bits", {
            raw("a", b'0', 0, |block| {
                block[124..136].copy_from_slice(&[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1]);
            })
        }),
        ("size of an extension is no number", {
            raw("a", b'x', 0, |block| block[124..136].fill(b'9'))
        }),
        ("entry after a lone block of zeros", {
            [vec![0; 512], raw("a", b'0', 0, |_| {})].concat()
        }),
    ];
    for (row, bytes) in rows {
        let lone = bytes[0] == 0;
        let offset = if lone { 512 } else { 0 };
        let found = read(&archive(&[bytes]), 4096);
        let is_header =
            matches!(found, Err(ArchiveError::Header { offset: at, .. }) if at == offset);
        assert!(is_header, "{row}: {found:?}");
    }
}

#[test]
fn broken_extensions_are_refused() {
    let file = with_content("a", b"");
    let rows: [(&str, Vec<u8>); 14] = [
        ("no record", extension(b'x', b"path=a\n")),
        ("length too long", extension(b'x', b"99 path=a\n")),
        ("length too short", extension(b'x', b"8 path=a\n")),
        ("signed length", extension(b'x', b"+11 path=a\n")),
        ("no length", extension(b'x', b" path=a\n")),
        (
            "huge length",
            extension(b'x', b"99999999999999999999999 a=b\n"),
        ),
        ("no value", extension(b'x', b"7 path\n")),
        ("zero in a name", extension(b'x', b"12 path=a\0b\n")),
        ("negative size", extension(b'x', b"11 size=-1\n")),
        (
            "size beyond 63 bits",
            extension(b'x', b"28 size=9223372036854775808\n"),
        ),
        ("empty", extension(b'x', b"")),
        (
            "two of a kind",
            [extension(b'L', b"a\0"), extension(b'L', b"b\0")].concat(),
        ),
        ("global path", extension(b'g', b"10 path=a\n")),
        ("global size", extension(b'g', b"9 size=1\n")),
    ];
    for (row, bytes) in rows {
        let error = read(&archive(&[bytes, file.clone()]), 4096).unwrap_err();
        assert!(
            matches!(error, ArchiveError::Extension { .. }),
            "{row}: {error}"
        );
    }
    let orphan = archive(&[extension(b'x', b"10 path=a\n")]);
    let error = read(&orphan, 4096).unwrap_err();
    let reason = "no entry follows it";
    let offset = 3 * 512;
    assert_eq!(error, ArchiveError::Extension { offset, reason });
    let comment = archive(&[extension(b'g', b"13 comment=x\n"), file]);
    assert_eq!(read(&comment, 4096).unwrap().len(), 1);
}

#[test]
fn sparse_files_are_refused() {
    let file = with_content("a", b"abc");
    let records = b"22 GNU.sparse.map=0,3\n26 GNU.sparse.numblocks=1\n";
    for bytes in [
        raw("a", b'S', 0, |_| {}),
        [extension(b'x', records), file].concat(),
    ] {
        let error = read(&archive(&[bytes]), 4096).unwrap_err();
        assert_eq!(error, ArchiveError::Sparse("a".to_owned()));
    }
}

#[test]
fn names_and_extensions_are_bounded() {
    for (length, fits) in [(MAX_NAME_BYTES, true), (MAX_NAME_BYTES + 1, false)] {
        let name = vec![b'n'; length];
        let bytes = [extension(b'L', &name), with_content("a", b"")];
        assert_eq!(read(&archive(&bytes), 4096).is_ok(), fits, "{length}");
    }
    let error = read(
        &archive(&[extension(b'L', &[b'n'; 10_000]), with_content("a", b"")]),
        4096,
    );
    assert_eq!(error, Err(ArchiveError::NameTooLong { size: 10_000 }));
    let size = MAX_EXTENSION_BYTES + 1;
    let error = read(&raw("a", b'x', size, |_| {}), 4096);
    assert_eq!(error, Err(ArchiveError::ExtensionTooLong { size }));
}

#[test]
fn no_byte_turned_makes_it_panic() {
    let bytes = archive(&[
        extension(b'x', b"10 path=a\n9 size=3\n"),
        with_content("a", b"abc"),
        extension(b'L', b"long\0"),
        with_content("b", b""),
    ]);
    for position in 0..bytes.len() {
        for turned in [0x00, 0x01, 0x20, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[position] ^= turned;
            // Whatever comes of it.
            let _ = read(&bytes, 300);
        }
    }
}
