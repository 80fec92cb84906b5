//! What honest tools write.

use tar::{Builder, EntryType, Header};

use super::{entries, entry, raw, read};
use crate::{
    archive::{END, pax_record},
    layer::{Entry, Kind, Metadata},
};

/// A GNU header with a number in every field.
fn gnu(kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o4755);
    header.set_uid(1000);
    header.set_gid(100);
    header.set_mtime(1_700_000_000);
    header.set_size(0);
    header
}

fn expected(path: &str, kind: Kind) -> Entry {
    let metadata = Metadata {
        mode: 0o4755,
        uid: 1000,
        gid: 100,
        mtime: 1_700_000_000,
        ..Metadata::default()
    };
    Entry {
        path: path.into(),
        kind,
        metadata,
    }
}

/// A layer with something of everything, by the `tar` crate, and what it has.
fn assorted() -> (Vec<u8>, Vec<Entry>) {
    let mut builder = Builder::new(Vec::new());
    let mut expect = Vec::new();
    let mut header = gnu(EntryType::Directory);
    let none: &[u8] = &[];
    builder.append_data(&mut header, "./", none).unwrap();
    expect.push(expected("", Kind::Directory));
    builder.append_data(&mut header, "./dir/", none).unwrap();
    expect.push(expected("dir", Kind::Directory));

    let mut header = gnu(EntryType::Regular);
    header.set_size(600);
    let content: &[u8] = &[7; 600];
    builder
        .append_data(&mut header, "dir/file", content)
        .unwrap();
    expect.push(expected("dir/file", Kind::File(600)));

    // GNU long names.
    let long = format!("dir/{}", "n".repeat(300));
    let mut header = gnu(EntryType::Symlink);
    builder.append_link(&mut header, &long, &long).unwrap();
    expect.push(expected(&long, Kind::Symlink(long.clone().into())));

    let mut header = gnu(EntryType::Link);
    builder
        .append_link(&mut header, "hard", "./dir//file")
        .unwrap();
    expect.push(expected("hard", Kind::HardLink(b"dir/file".to_vec())));

    let devices = [
        (EntryType::Char, "tty", Kind::CharacterDevice(4, 64)),
        (EntryType::Block, "disk", Kind::BlockDevice(4, 64)),
        (EntryType::Fifo, "pipe", Kind::Fifo),
    ];
    for (flag, path, kind) in devices {
        let mut header = gnu(flag);
        header.set_device_major(4).unwrap();
        header.set_device_minor(64).unwrap();
        builder.append_data(&mut header, path, none).unwrap();
        expect.push(expected(path, kind));
    }

    // Pax.
    let records: [(&str, &[u8]); 8] = [
        ("path", b"by/pax"),
        ("size", b"3"),
        ("uid", b"4294967295"),
        ("gid", b"2097152"),
        ("mtime", b"-1.5"),
        ("comment", b"x"),
        ("SCHILY.xattr.user.a", b"1=2\n\0"),
        ("SCHILY.xattr.user.empty", b""),
    ];
    builder.append_pax_extensions(records).unwrap();
    let mut header = Header::new_ustar();
    header.set_mode(0o100_600);
    header.set_size(3);
    let content: &[u8] = b"pax";
    builder.append_data(&mut header, "short", content).unwrap();
    let metadata = Metadata {
        mode: 0o600,
        uid: 0xffff_ffff,
        gid: 0o1000_0000,
        mtime: -2,
        xattrs: [
            (b"user.a".to_vec(), b"1=2\n\0".to_vec()),
            (b"user.empty".to_vec(), Vec::new()),
        ]
        .into(),
    };
    expect.push(Entry {
        path: b"by/pax".to_vec(),
        kind: Kind::File(3),
        metadata,
    });
    (builder.into_inner().unwrap(), expect)
}

#[test]
fn everything_is_read_in_pieces_of_every_size() {
    let (bytes, expect) = assorted();
    let whole = read(&bytes, bytes.len()).unwrap();
    let found: Vec<_> = whole.iter().map(|(entry, _, _)| entry.clone()).collect();
    assert_eq!(found, expect);
    for (entry, offset, content) in &whole {
        let (start, size) = (*offset as usize, content.len());
        assert_eq!(&bytes[start..start + size], content);
        let stated = match entry.kind {
            Kind::File(size) => size as usize,
            _ => 0,
        };
        assert_eq!(size, stated);
    }
    for size in (1..600).chain([1024, 4096]) {
        assert_eq!(read(&bytes, size).as_ref(), Ok(&whole), "{size}");
    }
}

#[test]
fn names_are_bytes() {
    let mut bytes = raw("latin", b'0', b"", |block| block[..2].fill(0xff));
    bytes.extend_from_slice(&END);
    assert_eq!(entries(&bytes)[0].path, b"\xff\xfftin");
}

#[test]
fn old_and_odd_types_have_their_meaning() {
    for (flag, path, kind) in [
        (0, "old", Kind::File(0)),
        (0, "old/", Kind::Directory),
        (b'0', "file/", Kind::File(0)),
        (b'7', "contiguous", Kind::File(0)),
    ] {
        let mut bytes = raw(path, flag, b"", |_| {});
        bytes.extend_from_slice(&END);
        let name = path.trim_end_matches('/');
        let mut expected = entry(name, kind);
        expected.metadata.mode = 0;
        assert_eq!(entries(&bytes), [expected], "{flag} {path}");
    }
}

#[test]
fn numbers_in_headers_may_be_binary() {
    let mut bytes = raw("a", b'3', b"", |block| {
        // uid, gid, mtime, devmajor, devminor
        block[108..116].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff");
        block[116..124].copy_from_slice(b"\x80\0\0\x01\0\0\0\0");
        block[136..148].fill(0xff);
        block[329..337].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff");
        block[337..345].fill(b' ');
    });
    bytes.extend_from_slice(&END);
    let [found] = &entries(&bytes)[..] else {
        panic!("one entry");
    };
    let Metadata {
        uid, gid, mtime, ..
    } = found.metadata;
    assert_eq!((uid, gid, mtime), (u64::from(u32::MAX), 1 << 32, -1));
    assert_eq!(found.kind, Kind::CharacterDevice(u32::MAX, 0));
}

#[test]
fn pax_times_are_rounded_down() {
    for (value, expected) in [
        ("0", 0),
        ("1.", 1),
        ("1.999999999", 1),
        ("-1", -1),
        ("-1.0", -1),
        ("-0.1", -1),
        ("-1.000000001", -2),
        ("9223372036854775807.9", i64::MAX),
        ("-9223372036854775807.9", i64::MIN),
        // Taken back: the header's counts.
        ("", 0o12345),
    ] {
        let record = pax_record(b"mtime", value.as_bytes());
        let mut bytes = raw("x", b'x', &record, |_| {});
        let time = |block: &mut [u8; 512]| block[136..148].copy_from_slice(b"00000012345\0");
        bytes.extend(raw("a", b'0', b"", time));
        bytes.extend_from_slice(&END);
        assert_eq!(entries(&bytes)[0].metadata.mtime, expected, "{value}");
    }
}

#[test]
fn what_all_entries_are_to_have_is_not_heeded() {
    let records = [pax_record(b"uid", b"7"), pax_record(b"mtime", b"x")].concat();
    let mut bytes = raw("g", b'g', &records, |_| {});
    bytes.extend(raw("a", b'0', b"", |_| {}));
    bytes.extend_from_slice(&END);
    assert_eq!(entries(&bytes)[0].metadata, Metadata::default());
}
