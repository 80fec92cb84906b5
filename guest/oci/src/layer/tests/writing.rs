//! What is written here, read by others and again.

use std::io::Read as _;

use super::{Random, entries, entry, layer, read};
use crate::layer::{Entry, Kind, Metadata, header};

#[test]
fn ustar_is_enough_until_it_is_not() {
    // The most there is place for.
    let full = Entry {
        metadata: Metadata {
            mode: 0o7777,
            uid: 0o777_7777,
            gid: 0o777_7777,
            mtime: 0o777_7777_7777,
            ..Metadata::default()
        },
        ..entry(&"n".repeat(100), Kind::File(0o777_7777_7777))
    };
    assert_eq!(header(&full).len(), 512);
    type Change = fn(&mut Entry);
    let rows: [(&str, Change); 10] = [
        ("path", |entry| entry.path.push(b'n')),
        ("path", |entry| entry.path = "\u{e4}".into()),
        // The slash counts.
        ("path", |entry| entry.kind = Kind::Directory),
        ("linkpath", |entry| {
            entry.kind = Kind::Symlink(vec![b't'; 101]);
        }),
        ("linkpath", |entry| entry.kind = Kind::Symlink(vec![0xff])),
        ("size", |entry| entry.kind = Kind::File(0o1_0000_0000_0000)),
        ("uid", |entry| entry.metadata.uid += 1),
        ("gid", |entry| entry.metadata.gid += 1),
        ("mtime", |entry| entry.metadata.mtime += 1),
        ("mtime", |entry| entry.metadata.mtime = -1),
    ];
    for (key, change) in rows {
        let mut entry = full.clone();
        change(&mut entry);
        let bytes = header(&entry);
        assert_eq!(bytes.len(), 3 * 512, "{key}");
        let records = String::from_utf8_lossy(&bytes[512..1024]);
        let (_, record) = records.split_once(' ').unwrap();
        assert!(record.starts_with(&format!("{key}=")), "{record}");
        assert_eq!(record.matches('\n').count(), 1, "{record}");
        // What is in the record is not in base 256 as well.
        assert!(bytes[1024 + 100..1024 + 148].is_ascii(), "{key}");
    }
    let mut link = full;
    link.kind = Kind::Symlink(vec![b't'; 100]);
    assert_eq!(header(&link).len(), 512);
}

#[test]
fn the_root_is_a_dot() {
    let root = entry("", Kind::Directory);
    let bytes = header(&root);
    assert_eq!(&bytes[..3], b"./\0");
    assert_eq!(entries(&layer(std::slice::from_ref(&root))), [root]);
}

#[test]
fn records_are_sorted() {
    let mut odd = entry(&"n".repeat(200), Kind::Symlink(vec![b't'; 200]));
    odd.metadata.uid = u64::MAX;
    odd.metadata.mtime = -5;
    for name in ["user.b", "user.a", "security.capability", "no=place"] {
        odd.metadata.xattrs.insert(name.into(), b"x".to_vec());
    }
    let bytes = header(&odd);
    let records = String::from_utf8_lossy(&bytes[512..]);
    let keys: Vec<_> = records
        .lines()
        .filter_map(|line| line.split_once(' ')?.1.split_once('='))
        .map(|(key, _)| key)
        .collect();
    let expected = [
        "SCHILY.xattr.security.capability",
        "SCHILY.xattr.user.a",
        "SCHILY.xattr.user.b",
        "linkpath",
        "mtime",
        "path",
        "uid",
    ];
    assert_eq!(keys, expected);
}

#[test]
fn others_read_what_is_written() {
    let long = "d/".repeat(60) + "file";
    let mut file = entry(&long, Kind::File(5));
    file.metadata = Metadata {
        mode: 0o4711,
        uid: 1000,
        gid: 1 << 31,
        mtime: 1_700_000_000,
        xattrs: [(b"user.a".to_vec(), b"\0=".to_vec())].into(),
    };
    let device = entry("null", Kind::CharacterDevice(1, 3));
    let bytes = layer(&[file, device]);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut found = archive.entries().unwrap();
    let mut first = found.next().unwrap().unwrap();
    assert_eq!(first.path().unwrap().to_str(), Some(long.as_str()));
    let header = first.header().clone();
    assert_eq!(header.mode().unwrap(), 0o4711);
    // Pax records are applied by the crate.
    assert_eq!(
        (header.uid().unwrap(), header.gid().unwrap()),
        (1000, 1 << 31)
    );
    assert_eq!(header.mtime().unwrap(), 1_700_000_000);
    assert_eq!(header.username(), Ok(Some("")));
    let records = first.pax_extensions().unwrap().unwrap();
    let records: Vec<_> = records.map(Result::unwrap).collect();
    let attribute = (Ok("SCHILY.xattr.user.a"), b"\0=".as_slice());
    assert!(
        records
            .iter()
            .any(|record| (record.key(), record.value_bytes()) == attribute)
    );
    let mut content = Vec::new();
    first.read_to_end(&mut content).unwrap();
    assert_eq!(content, [0; 5]);
    let second = found.next().unwrap().unwrap();
    let header = second.header();
    let device = (
        header.device_major().unwrap(),
        header.device_minor().unwrap(),
    );
    assert_eq!(device, (Some(1), Some(3)));
    assert!(found.next().is_none());
}

/// A clean name of any bytes.
fn name(random: &mut Random) -> Vec<u8> {
    let mut name = Vec::new();
    for _ in 0..1 + random.below(8) {
        let mut part: Vec<u8> = (0..1 + random.below(30))
            .map(|_| (1 + random.below(255)) as u8)
            .map(|byte| if byte == b'/' { b'.' } else { byte })
            .collect();
        if part == b"." || part == b".." {
            part = b"...".to_vec();
        }
        crate::layer::name::push(&mut name, &part);
    }
    name
}

fn any_entry(random: &mut Random) -> Entry {
    let kind = match random.below(7) {
        0 => Kind::File(random.number() >> 1),
        1 => Kind::Directory,
        2 => Kind::Symlink([b"/../", name(random).as_slice()].concat()),
        3 => Kind::HardLink(name(random)),
        4 => Kind::CharacterDevice(random.number() as u32, random.number() as u32),
        5 => Kind::BlockDevice(random.number() as u32, random.number() as u32),
        _ => Kind::Fifo,
    };
    let xattrs = (0..random.below(4)).map(|_| {
        let name = name(random).into_iter().filter(|byte| *byte != b'=');
        (name.collect(), vec![random.next() as u8; random.below(100)])
    });
    let metadata = Metadata {
        xattrs: xattrs.collect(),
        mode: random.next() as u32 & 0o7777,
        uid: random.number(),
        gid: random.number(),
        mtime: random.number().cast_signed(),
    };
    Entry {
        path: name(random),
        kind,
        metadata,
    }
}

#[test]
fn any_entry_reads_as_it_was_written() {
    let mut random = Random::new(1);
    for case in 0..3000 {
        let entry = any_entry(&mut random);
        let mut parser = crate::layer::Parser::new();
        let bytes = header(&entry);
        let found = parser.step(&bytes).unwrap();
        let step = crate::layer::Step::Entry(entry.clone());
        assert_eq!(found, (bytes.len(), step), "{case}");
        assert_eq!(parser.offset(), bytes.len() as u64);
        assert_eq!(header(&entry), bytes, "{case}");
    }
}

#[test]
fn one_byte_at_a_time_is_the_same_as_all() {
    let mut random = Random::new(2);
    for case in 0..20 {
        let mut entries: Vec<_> = (0..5).map(|_| any_entry(&mut random)).collect();
        for entry in &mut entries {
            if let Kind::File(size) = &mut entry.kind {
                *size %= 2000;
            }
        }
        let bytes = layer(&entries);
        let whole = read(&bytes, bytes.len()).unwrap();
        let found: Vec<_> = whole.iter().map(|(entry, _, _)| entry.clone()).collect();
        assert_eq!(found, entries, "{case}");
        assert_eq!(read(&bytes, 1), Ok(whole), "{case}");
    }
}
