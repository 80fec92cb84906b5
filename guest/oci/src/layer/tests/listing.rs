//! Lists and what they become as bytes.

use super::{Random, directory, entry, file, hard_link, symlink};
use crate::{
    archive::MAX_NAME_BYTES,
    layer::{Entry, Fragment, Kind, List, MAX_LIST_BYTES, Metadata, Sparse, TooLong},
};

/// An entry of any kind.
fn any(random: &mut Random) -> Entry {
    let number = |random: &mut Random| random.number() as u32;
    let name = |random: &mut Random| {
        let parts: Vec<_> = (0..1 + random.below(3))
            .map(|_| "n".repeat(1 + random.below(3)))
            .collect();
        parts.join("/")
    };
    let kind = match random.below(8) {
        0 => Kind::File(random.number()),
        1 => Kind::Directory,
        2 => Kind::Symlink(name(random).into()),
        3 => Kind::HardLink(name(random).into()),
        4 => Kind::CharacterDevice(number(random), number(random)),
        5 => Kind::BlockDevice(number(random), number(random)),
        6 => Kind::Fifo,
        _ => Kind::Sparse(Sparse {
            size: random.number(),
            fragments: vec![
                Fragment {
                    offset: random.below(10) as u64,
                    length: 5,
                },
                Fragment {
                    offset: 20,
                    length: random.number() >> 1,
                },
            ],
        }),
    };
    let mut entry = entry(&name(random), kind);
    if random.below(2) == 0 {
        entry.metadata = Metadata {
            mode: random.below(0o10000) as u32,
            uid: random.number(),
            gid: random.number(),
            mtime: random.number().cast_signed(),
            xattrs: [(b"user.a".to_vec(), b"\0".to_vec())].into(),
        };
    }
    entry
}

#[test]
fn a_list_says_what_went_in() {
    let mut random = Random::new(7);
    for is_plain in [true, false] {
        let mut list = List::new(is_plain);
        let mut offset = 0;
        let mut expected = Vec::new();
        for _ in 0..2000 {
            let entry = any(&mut random);
            offset += random.below(5000) as u64;
            list.push(&entry, offset).unwrap();
            // Only of files it means something.
            let has_content = matches!(entry.kind, Kind::File(_) | Kind::Sparse(_));
            expected.push((entry, if has_content { offset } else { 0 }));
        }
        assert!(list.entries().eq(expected.clone()));
        let again = List::parse(list.encode()).unwrap();
        assert_eq!((again.len(), again.is_plain()), (2000, is_plain));
        assert!(again.entries().eq(expected));
    }
}

#[test]
fn whiteouts_are_told() {
    for (path, expected) in [("a", false), ("d/.wh.a", true), (".wh..wh..opq", true)] {
        let mut list = List::new(true);
        list.push(&file("b"), 0).unwrap();
        list.push(&file(path), 0).unwrap();
        assert_eq!(list.has_whiteouts(), expected, "{path}");
        let again = List::parse(list.encode()).unwrap();
        assert_eq!(again.has_whiteouts(), expected, "{path}");
    }
}

#[test]
fn a_name_costs_what_is_new_in_it() {
    let mut list = List::new(true);
    list.push(&file("usr/share/doc/a/copyright"), 512).unwrap();
    let before = list.weight();
    list.push(&file("usr/share/doc/a/readme"), 1536).unwrap();
    assert!(list.weight() - before < 16, "{}", list.weight() - before);
}

#[test]
fn a_damaged_list_is_shorter_and_another_version_is_none() {
    let mut list = List::new(true);
    for entry in [
        directory("a"),
        file("a/b"),
        symlink("c", "a"),
        hard_link("d", "a/b"),
    ] {
        list.push(&entry, 512).unwrap();
    }
    let bytes = list.encode();
    for length in 0..bytes.len() {
        if let Some(cut) = List::parse(bytes[..length].to_vec()) {
            assert!(cut.entries().count() < cut.len(), "{length}");
        }
        for turned in [0x01, 0x80, 0xff] {
            let mut bytes = bytes.clone();
            bytes[length] ^= turned;
            // Whatever comes of it.
            let _ = List::parse(bytes).map(|list| list.entries().count());
        }
    }
    let mut other = bytes.clone();
    other[0] += 1;
    assert_eq!(List::parse(other), None);
}

#[test]
fn lists_are_bounded() {
    let mut list = List::new(true);
    let mut pushed = Ok(());
    let mut count = 0;
    while pushed.is_ok() {
        // No two names begin alike.
        let name = char::from(b'a' + (count % 26) as u8).to_string();
        pushed = list.push(&file(&name.repeat(MAX_NAME_BYTES)), 0);
        count += 1;
    }
    assert_eq!(pushed, Err(TooLong));
    assert!(list.weight() < MAX_LIST_BYTES + 2 * MAX_NAME_BYTES);
}
