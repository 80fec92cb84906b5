//! What honest tools write.

use tar::{Builder, EntryType, Header};

use super::{archive, entry, raw, read, with_content};
use crate::archive::{ArchiveError, Kind, clean, follow};

/// An archive with something of everything, by the `tar` crate.
fn assorted() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Directory);
    header.set_size(0);
    builder.append_data(&mut header, "dir/", &[][..]).unwrap();
    let mut header = Header::new_gnu();
    header.set_size(600);
    builder
        .append_data(&mut header, "dir/file", &[7; 600][..])
        .unwrap();
    // GNU long names.
    let long = format!("dir/{}", "n".repeat(300));
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, &long, &long).unwrap();
    // Pax.
    let records = [
        ("comment", b"x".as_slice()),
        ("path", b"by/pax"),
        ("size", b"3"),
        ("mtime", b"1.5"),
    ];
    builder.append_pax_extensions(records).unwrap();
    let mut header = Header::new_ustar();
    header.set_size(3);
    builder
        .append_data(&mut header, "short", &b"pax"[..])
        .unwrap();
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    builder
        .append_link(&mut header, "hard", "dir/file")
        .unwrap();
    builder.into_inner().unwrap()
}

#[test]
fn pieces_of_every_size_read_the_same() {
    let bytes = assorted();
    let whole = read(&bytes, bytes.len()).unwrap();
    let long = format!("dir/{}", "n".repeat(300));
    let expected = [
        (entry("dir/", Kind::Directory, 0), vec![]),
        (entry("dir/file", Kind::File, 600), vec![7; 600]),
        (entry(&long, Kind::Symlink(long.clone()), 0), vec![]),
        (entry("by/pax", Kind::File, 3), b"pax".to_vec()),
        (
            entry("hard", Kind::HardLink("dir/file".to_owned()), 0),
            vec![],
        ),
    ];
    assert_eq!(whole, expected);
    for size in (1..600).chain([511, 512, 513, 1024, 4096]) {
        assert_eq!(read(&bytes, size).as_ref(), Ok(&whole), "{size}");
    }
}

#[test]
fn cut_in_an_entry_is_an_error_and_a_missing_end_is_none() {
    assert_eq!(read(&[], 1), Err(ArchiveError::Empty));
    let files = [
        with_content("a", &[7; 600]),
        with_content("b", b""),
        with_content("c", b"c"),
    ];
    let bytes = archive(&files);
    let whole = read(&bytes, 4096).unwrap();
    for length in 1..bytes.len() {
        // After the content of a, before b, after the content of c, and in the end.
        let complete = match length {
            1112..=1536 => 1,
            2048 => 2,
            2561.. => 3,
            _ => 0,
        };
        let expected = match complete {
            0 => Err(ArchiveError::Truncated {
                offset: length as u64,
            }),
            complete => Ok(whole[..complete].to_vec()),
        };
        assert_eq!(read(&bytes[..length], 4096), expected, "{length}");
    }
    // What announces an entry is none.
    let bytes = assorted();
    let whole = read(&bytes, 4096).unwrap();
    for length in 1..bytes.len() {
        match read(&bytes[..length], 4096) {
            Ok(entries) => assert!(whole.starts_with(&entries), "{length}"),
            Err(error) => {
                let offset = length as u64;
                assert_eq!(error, ArchiveError::Truncated { offset }, "{length}");
            }
        }
    }
    let long = with_content("././@LongLink", b"x");
    let announced = raw("x", b'x', 9, |_| {});
    for cut in [
        announced.clone(),
        [announced, b"9 size=2\n".to_vec()].concat(),
    ] {
        let bytes = [long.clone(), cut].concat();
        assert!(read(&bytes, 4096).is_err());
    }
}

#[test]
fn what_follows_the_end_is_not_read() {
    let mut bytes = archive(&[with_content("a", b"a")]);
    let alone = read(&bytes, 4096).unwrap();
    bytes.extend_from_slice(&[0; 10240]);
    bytes.extend_from_slice(b"anything");
    assert_eq!(read(&bytes, 4096).unwrap(), alone);
}

#[test]
fn sizes_are_octal_or_binary_and_pax_overrules_them() {
    let binary = raw("b", b'0', 0, |block| {
        block[124..136].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    });
    let blank = raw("n", b'0', 0, |block| block[124..136].fill(0));
    let pax = with_content("p", b"9 size=2\n");
    let pax = raw("p", b'x', 9, |_| {})
        .into_iter()
        .chain(pax.into_iter().skip(512));
    let lying = raw("l", b'0', 0, |block| block[124..136].fill(b'?'));
    let block = |byte: u8| {
        let mut block = vec![0; 512];
        block[..2].fill(byte);
        block
    };
    let bytes = archive(&[binary, block(1), blank, pax.collect(), lying, block(2)]);
    let sizes: Vec<_> = read(&bytes, 100).unwrap();
    let expected = [
        (entry("b", Kind::File, 2), vec![1, 1]),
        (entry("n", Kind::File, 0), vec![]),
        (entry("l", Kind::File, 2), vec![2, 2]),
    ];
    assert_eq!(sizes, expected);
}

#[test]
fn old_and_odd_types_have_their_meaning() {
    for (flag, path, size, kind) in [
        (0, "old", 0, Kind::File),
        (0, "old/", 0, Kind::Directory),
        (b'7', "contiguous", 0, Kind::File),
        (b'3', "character", 0, Kind::Device),
        (b'4', "block", 0, Kind::Device),
        (b'6', "pipe", 0, Kind::Device),
        // No content follows these, as Go has it.
        (b'5', "dir", 512, Kind::Directory),
        (b'1', "hard", 512, Kind::HardLink(String::new())),
        (b'V', "label", 0, Kind::Other(b'V')),
    ] {
        let bytes = archive(&[raw(path, flag, size, |_| {})]);
        let read = read(&bytes, 4096).unwrap();
        assert_eq!(read, [(entry(path, kind, 0), vec![])], "{path}");
    }
    let bytes = archive(&[raw("label", b'V', 1, |_| {}), vec![0; 512]]);
    assert_eq!(read(&bytes, 4096).unwrap()[0].1, [0]);
}

#[test]
fn names_have_one_spelling() {
    for (name, expected) in [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("a", "a"),
        ("./a//b/./c/", "a/b/c"),
        ("a/..b/c..", "a/..b/c.."),
        ("...", "..."),
    ] {
        assert_eq!(clean(name).as_deref(), Ok(expected), "{name}");
    }
    for name in ["/", "/a", "..", "../a", "a/..", "a/../b", "./../a"] {
        let outside = Err(ArchiveError::Outside(name.to_owned()));
        assert_eq!(clean(name), outside);
    }
    let size = 5000;
    let long = Err(ArchiveError::NameTooLong { size });
    assert_eq!(clean(&"n".repeat(size)), long);
}

#[test]
fn links_lead_inside_or_nowhere() {
    for (path, target, expected) in [
        ("a/layer.tar", "../b/layer.tar", Some("b/layer.tar")),
        ("a/layer.tar", "../b.tar", Some("b.tar")),
        ("a/layer.tar", "./x", Some("a/x")),
        ("a/layer.tar", "x", Some("a/x")),
        ("a/b/c", "../../x//y", Some("x/y")),
        ("a/b/c", "./.././../x", Some("x")),
        ("a/b", "..", Some("")),
        ("a/b", "..x", Some("a/..x")),
        ("a", "..", None),
        ("a", "../x", None),
        ("a/b", "../../x", None),
        ("a/b", "/x", None),
        ("a/b", "x/../../../y", None),
    ] {
        let found = follow(path, target);
        assert_eq!(found.ok().as_deref(), expected, "{path} -> {target}");
    }
}
