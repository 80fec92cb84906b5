//! What no honest tool writes.

use super::{layer, raw, read};
use crate::{
    archive::{ArchiveError, END, MAX_EXTENSION_BYTES, MAX_NAME_BYTES, pax_record},
    layer::{
        Entry, Kind, MAX_NODES, MAX_TREE_BYTES, Metadata, Parser, Step, Tree, TreeError, header,
    },
};

fn refusal(parts: &[Vec<u8>]) -> ArchiveError {
    let bytes = [parts.concat(), END.to_vec()].concat();
    read(&bytes, 4096).unwrap_err()
}

#[test]
fn names_that_lead_outside_are_refused() {
    for name in ["/", "/a", "..", "../a", "a/..", "a/../b", "./../a"] {
        let outside = ArchiveError::Outside(name.to_owned());
        assert_eq!(refusal(&[raw(name, b'0', b"", |_| {})]), outside);
        let link = raw("link", b'1', b"", |block| {
            block[157..157 + name.len()].copy_from_slice(name.as_bytes());
        });
        let outside = ArchiveError::LinkOutside {
            path: "link".to_owned(),
            target: name.to_owned(),
        };
        assert_eq!(refusal(&[link]), outside);
    }
}

#[test]
fn absolute_names_are_below_the_root_where_that_is_asked_for() {
    for (name, expected) in [
        ("/", Some("")),
        ("/./", Some("")),
        ("//a/b", Some("a/b")),
        ("a", Some("a")),
        ("/../a", None),
        ("/a/..", None),
    ] {
        let link = raw("link", b'1', b"", |block| {
            block[157..157 + name.len()].copy_from_slice(name.as_bytes());
        });
        let file = raw(name, b'0', b"", |_| {});
        for (block, is_link) in [(file, false), (link, true)] {
            let found = match Parser::rooted().step(&block) {
                Ok((_, Step::Entry(entry))) => Some(match entry.kind {
                    Kind::HardLink(target) if is_link => target,
                    _ => entry.path,
                }),
                _ => None,
            };
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{name}");
        }
    }
}

#[test]
fn headers_that_make_no_sense_are_refused() {
    type Change = fn(&mut [u8; 512]);
    let rows: [(u8, Change, &str); 10] = [
        (b'V', |_| {}, "no file has its type"),
        (b'D', |_| {}, "no file has its type"),
        (b'M', |_| {}, "no file has its type"),
        (b'8', |_| {}, "no file has its type"),
        (
            b'0',
            |block| block[100..108].fill(b'9'),
            "its mode is no number",
        ),
        (
            b'0',
            |block| block[108..116].fill(b'x'),
            "its owner is no number",
        ),
        (
            b'0',
            |block| block[116..124].fill(0xff),
            "its owner is no number",
        ),
        (
            b'0',
            |block| block[136..148].fill(b'x'),
            "its time is no number",
        ),
        (
            b'3',
            |block| block[329..337].fill(b'x'),
            "its device has no numbers",
        ),
        (
            b'4',
            |block| block[337..345].copy_from_slice(b"\x80\0\0\x01\0\0\0\0"),
            "its device has no numbers",
        ),
    ];
    for (flag, change, reason) in rows {
        let first = raw("a", b'0', b"", |_| {});
        let error = refusal(&[first, raw("b", flag, b"", change)]);
        let text = format!("invalid tar header at byte 512: {reason}");
        assert_eq!(error.to_string(), text);
        let expected = ArchiveError::Header {
            offset: 512,
            reason: Some(reason),
        };
        assert_eq!(error, expected);
    }
    let no_tar = refusal(&[vec![b'?'; 512]]);
    assert_eq!(
        no_tar.to_string(),
        "invalid tar header at byte 0: this is no tar archive, plain or compressed with gzip, bzip2, xz or zstd"
    );
}

#[test]
fn pax_overrules_numbers_that_are_none() {
    let records = [
        pax_record(b"uid", b"1"),
        pax_record(b"gid", b"2"),
        pax_record(b"mtime", b"3"),
    ];
    let bytes = [
        raw("x", b'x', &records.concat(), |_| {}),
        raw("a", b'0', b"", |block| {
            block[108..124].fill(b'?');
            block[136..148].fill(b'?');
        }),
        END.to_vec(),
    ];
    let found = read(&bytes.concat(), 4096).unwrap();
    let Metadata {
        uid, gid, mtime, ..
    } = found[0].0.metadata;
    assert_eq!((uid, gid, mtime), (1, 2, 3));
}

#[test]
fn pax_records_that_make_no_sense_are_refused() {
    for (key, value) in [
        ("uid", "-1"),
        ("uid", "18446744073709551616"),
        ("gid", "x"),
        ("mtime", "x"),
        ("mtime", "."),
        ("mtime", "1.x"),
        ("mtime", "--1"),
        ("mtime", "+1"),
        ("mtime", "9223372036854775808"),
        ("SCHILY.xattr.a\0", "x"),
    ] {
        let record = pax_record(key.as_bytes(), value.as_bytes());
        let extension = raw("x", b'x', &record, |_| {});
        let error = refusal(&[extension, raw("a", b'0', b"", |_| {})]);
        let is_extension = matches!(error, ArchiveError::Extension { offset: 1536, .. });
        assert!(is_extension, "{key}={value}: {error}");
    }
}

#[test]
fn bounds_of_archives_hold() {
    let size = MAX_NAME_BYTES + 1;
    let record = pax_record(b"linkpath", &vec![b'n'; size]);
    let long = [raw("x", b'x', &record, |_| {}), raw("a", b'2', b"", |_| {})];
    assert_eq!(refusal(&long), ArchiveError::NameTooLong { size });
    let size = MAX_EXTENSION_BYTES + 1;
    let huge = refusal(&[raw("x", b'x', &vec![0; size as usize], |_| {})]);
    assert_eq!(huge, ArchiveError::ExtensionTooLong { size });
}

#[test]
fn a_cut_layer_is_not_whole() {
    let bytes = layer(&[super::file("a"), super::symlink("b", "a")]);
    assert_eq!(read(&[], 1), Err(ArchiveError::Empty));
    for length in 1..bytes.len() {
        let offset = length as u64;
        let read = read(&bytes[..length], 4096).map(|entries| entries.len());
        // After the one byte of a, and in the end.
        let expected = match length {
            513..=1024 => Ok(1),
            1536.. => Ok(2),
            _ => Err(ArchiveError::Truncated { offset }),
        };
        assert_eq!(read, expected, "{length}");
    }
}

/// An attribute of this many bytes.
fn heavy(path: &str, size: usize) -> Entry {
    let mut entry = super::file(path);
    let value = vec![0; size];
    entry.metadata.xattrs.insert(b"user.x".to_vec(), value);
    entry
}

#[test]
fn trees_are_bounded_in_bytes() {
    let apply = |entries: Vec<Entry>| Tree::new().apply(0, entries.into_iter().zip(0..));
    assert_eq!(apply(vec![heavy("a", MAX_TREE_BYTES - 1000)]), Ok(()));
    let too_large = Err(TreeError::TooLarge);
    assert_eq!(apply(vec![heavy("a", MAX_TREE_BYTES)]), too_large);
    // Hard links count as if they had their own copies: making room gives them these.
    let mut links = vec![heavy("a", MAX_TREE_BYTES / 4)];
    links.extend((0..4).map(|n| super::hard_link(&n.to_string(), "a")));
    assert_eq!(apply(links), too_large);
    // What one layer takes from another is free again.
    let mut tree = Tree::new();
    for number in 0..4 {
        let half = heavy("a", MAX_TREE_BYTES / 2);
        assert_eq!(tree.apply(number, [(half, 0)]), Ok(()), "{number}");
    }
    let mut tree = Tree::new();
    for number in 0..4 {
        let half = heavy(&format!("{number}/a"), MAX_TREE_BYTES / 2);
        let whiteout = super::file(".wh..wh..opq");
        let applied = tree.apply(number, [(half, 0), (whiteout, 0)]);
        assert_eq!(applied, Ok(()), "{number}");
    }
    assert_eq!(super::names(&tree), ["3", "3/a"]);
    let found = tree.get(b"3/a").unwrap().metadata;
    assert_eq!(found.xattrs[b"user.x".as_slice()].len(), MAX_TREE_BYTES / 2);
}

#[test]
fn trees_are_bounded_in_nodes() {
    let names = (1..MAX_NODES - 1).map(|number| super::file(&format!("{number:06}")));
    let mut tree = Tree::new();
    assert_eq!(tree.apply(0, names.map(|entry| (entry, 0))), Ok(()));
    assert_eq!(tree.apply(0, [(super::file("a"), 0)]), Ok(()));
    assert_eq!(tree.len(), MAX_NODES);
    assert_eq!(tree.apply(1, [(super::file("a"), 0)]), Ok(()));
    let one_more = tree.clone().apply(2, [(super::file("a/b"), 0)]);
    assert_eq!(one_more, Err(TreeError::TooLarge));
    assert_eq!(tree.len(), MAX_NODES);
}

#[test]
fn no_byte_turned_makes_it_panic() {
    let mut odd = heavy("d/a", 10);
    odd.metadata.uid = u64::MAX;
    odd.metadata.mtime = i64::MIN;
    let device = super::entry("d/b", Kind::BlockDevice(u32::MAX, 1));
    let bytes = [header(&odd), vec![0; 512], header(&device), END.to_vec()].concat();
    for position in 0..bytes.len() - END.len() {
        for turned in [0x01, 0xff] {
            let mut bytes = bytes.clone();
            bytes[position] ^= turned;
            let Ok(found) = read(&bytes, 300) else {
                continue;
            };
            let entries = found.into_iter().map(|(entry, offset, _)| (entry, offset));
            // Whatever comes of it.
            let _ = Tree::new().apply(0, entries);
        }
    }
}
