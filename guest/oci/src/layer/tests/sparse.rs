//! Files with holes, in all the forms that GNU tar writes.

use super::{Metadata, raw, read};
use crate::{
    archive::{ArchiveError, END, pax_record},
    layer::{Entry, Fragment, Kind, Sparse, Tree, header},
};

/// `head`, a hole, `middle`, a hole to the end.
const SIZE: u64 = 3000;
const FRAGMENTS: [Fragment; 2] = [
    Fragment {
        offset: 0,
        length: 4,
    },
    Fragment {
        offset: 1024,
        length: 6,
    },
];

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let records = records.iter();
    let records = records.flat_map(|(key, value)| {
        let key = format!("GNU.sparse.{key}");
        pax_record(key.as_bytes(), value.as_bytes())
    });
    raw("x", b'x', &records.collect::<Vec<_>>(), |_| {})
}

fn octal(field: &mut [u8], number: u64) {
    let text = format!("{number:0width$o}\0", width = field.len() - 1);
    field.copy_from_slice(text.as_bytes());
}

/// Parts into the places of a block.
fn places(bytes: &mut [u8], parts: &[(u64, u64)]) {
    for (place, (offset, length)) in bytes.chunks_exact_mut(24).zip(parts) {
        let (first, second) = place.split_at_mut(12);
        octal(first, *offset);
        octal(second, *length);
    }
}

fn old(parts: &[(u64, u64)], more: bool, content: &[u8]) -> Vec<u8> {
    raw("a", b'S', content, |block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        places(&mut block[386..482], parts);
        block[482] = u8::from(more);
        octal(&mut block[483..495], SIZE);
    })
}

/// The file above in each form.
fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let content = b"headmiddle";
    let mut in_content = b"2\n0\n4\n1024\n6\n".to_vec();
    in_content.resize(512, 0);
    in_content.extend_from_slice(content);
    let zero_zero = [
        ("size", "3000"),
        ("numblocks", "2"),
        ("offset", "0"),
        ("numbytes", "4"),
        ("offset", "1024"),
        ("numbytes", "6"),
    ];
    let zero_one = [
        ("size", "3000"),
        ("numblocks", "2"),
        ("map", "0,4,1024,6"),
        ("name", "a"),
    ];
    let one_zero = [
        ("major", "1"),
        ("minor", "0"),
        ("name", "a"),
        ("realsize", "3000"),
    ];
    let made_up = |content: &[u8]| raw("GNUSparseFile.1/a", b'0', content, |_| {});
    vec![
        (
            "0.0",
            [pax(&zero_zero), raw("a", b'0', content, |_| {})].concat(),
        ),
        ("0.1", [pax(&zero_one), made_up(content)].concat()),
        ("1.0", [pax(&one_zero), made_up(&in_content)].concat()),
        ("old", old(&[(0, 4), (1024, 6)], false, content)),
    ]
}

#[test]
fn every_form_is_the_same_file() {
    for (form, bytes) in forms() {
        let bytes = [bytes, raw("b", b'0', b"other", |_| {}), END.to_vec()].concat();
        for size in [1, 300, 4096] {
            let found = read(&bytes, size).unwrap();
            let [(entry, offset, content), (other, _, rest)] = found.as_slice() else {
                panic!("{form}: {found:?}");
            };
            assert_eq!(entry.path, b"a", "{form}");
            let expected = Sparse {
                size: SIZE,
                fragments: FRAGMENTS.to_vec(),
            };
            assert_eq!(entry.kind, Kind::Sparse(expected), "{form}");
            assert_eq!(content, b"headmiddle", "{form}");
            let start = usize::try_from(*offset).unwrap();
            assert_eq!(&bytes[start..start + 10], b"headmiddle", "{form}");
            assert_eq!(
                (other.path.as_slice(), rest.as_slice()),
                (&b"b"[..], &b"other"[..])
            );
        }
    }
}

#[test]
fn long_maps_go_on_in_blocks() {
    // Four places in the header, 21 in each block.
    let parts: Vec<(u64, u64)> = (0..30).map(|number| (number * 10, 1)).collect();
    let mut blocks = [[0; 512], [0; 512]];
    places(&mut blocks[0][..504], &parts[4..25]);
    blocks[0][504] = 1;
    places(&mut blocks[1][..504], &parts[25..]);
    let content = [b'c'; 30];
    let whole = old(&parts[..4], true, &content);
    let (head, content) = whole.split_at(512);
    let bytes = [head, blocks.as_flattened(), content, &END].concat();
    let (entry, offset, content) = read(&bytes, 77).unwrap().remove(0);
    let Kind::Sparse(sparse) = entry.kind else {
        panic!("no sparse file");
    };
    assert_eq!(sparse.fragments.len(), 30);
    assert_eq!((sparse.stored(), sparse.holes()), (30, SIZE - 30));
    assert_eq!((offset, content.len()), (512 * 3, 30));
    for length in [600, 1100] {
        let error = read(&bytes[..length], 4096).unwrap_err();
        assert!(matches!(error, ArchiveError::Truncated { .. }), "{error}");
    }
}

#[test]
fn maps_that_make_no_sense_are_refused() {
    let zero_one = |map: &str, count: &str, size: &str| {
        pax(&[("map", map), ("numblocks", count), ("size", size)])
    };
    let file = || raw("a", b'0', b"headmiddle", |_| {});
    let text = |map: &str| {
        let mut content = map.as_bytes().to_vec();
        content.resize(512, 0);
        content.extend_from_slice(b"headmiddle");
        let records = [("major", "1"), ("minor", "0"), ("realsize", "3000")];
        [pax(&records), raw("a", b'0', &content, |_| {})].concat()
    };
    for (row, bytes) in [
        (
            "overlap",
            [zero_one("0,6,5,4", "2", "3000"), file()].concat(),
        ),
        (
            "backwards",
            [zero_one("9,6,0,4", "2", "3000"), file()].concat(),
        ),
        (
            "beyond the end",
            [zero_one("0,4,10,6", "2", "15"), file()].concat(),
        ),
        (
            "too little",
            [zero_one("0,4", "1", "3000"), file()].concat(),
        ),
        (
            "too much",
            [zero_one("0,4,9,600", "2", "3000"), file()].concat(),
        ),
        ("odd", [zero_one("0,4,9", "2", "3000"), file()].concat()),
        ("no count", [zero_one("0,10", "x", "3000"), file()].concat()),
        ("no size", [zero_one("0,10", "1", "-1"), file()].concat()),
        (
            "overflow",
            [zero_one("0,4,18446744073709551615,6", "2", "3000"), file()].concat(),
        ),
        ("no lines", text("")),
        ("no number", text("x\n0\n4\n1024\n6\n")),
        ("too few lines", text("2\n0\n4\n1024\n")),
        (
            "lines beyond the content",
            text(&format!("9999999\n{}", "1\n".repeat(200))),
        ),
        (
            "a directory",
            [zero_one("0,10", "1", "3000"), raw("a", b'5', b"", |_| {})].concat(),
        ),
        (
            "old, beyond the end",
            old(&[(0, 4), (2999, 6)], false, b"headmiddle"),
        ),
        (
            "in another order",
            [
                pax(&[("numbytes", "4"), ("offset", "0"), ("numblocks", "1")]),
                file(),
            ]
            .concat(),
        ),
    ] {
        let bytes = [bytes, END.to_vec()].concat();
        let error = read(&bytes, 4096).unwrap_err();
        assert!(
            matches!(
                error,
                ArchiveError::Header { .. } | ArchiveError::Extension { .. }
            ),
            "{row}: {error}"
        );
    }
}

#[test]
fn versions_nobody_knows_are_files_as_they_are() {
    for records in [
        [("major", "1"), ("minor", "9")].as_slice(),
        &[("major", "2"), ("minor", "0")],
        &[("major", "1")],
        &[("realsize", "1234")],
    ] {
        let bytes = [pax(records), raw("a", b'0', b"abc", |_| {}), END.to_vec()].concat();
        let (entry, _, content) = read(&bytes, 4096).unwrap().remove(0);
        assert_eq!((entry.kind, content), (Kind::File(3), b"abc".to_vec()));
    }
}

#[test]
fn holes_are_remembered_and_written_as_zeros() {
    let sparse = Sparse {
        size: SIZE,
        fragments: FRAGMENTS.to_vec(),
    };
    let entry = Entry {
        path: b"a".to_vec(),
        kind: Kind::Sparse(sparse.clone()),
        metadata: Metadata::default(),
    };
    let mut tree = Tree::new();
    tree.apply(0, [(entry.clone(), 512)]).unwrap();
    let crate::layer::NodeKind::File {
        content,
        sparse: found,
        ..
    } = tree.get(b"a").unwrap().kind
    else {
        panic!("no file");
    };
    assert_eq!((content.offset, content.size), (512, SIZE));
    assert_eq!(found, Some(sparse));
    let plain = Entry {
        kind: Kind::File(SIZE),
        ..entry.clone()
    };
    assert_eq!(header(&entry), header(&plain));
}

#[test]
fn no_byte_turned_makes_it_panic() {
    for (_, bytes) in forms() {
        for position in 0..bytes.len() {
            for turned in [0x01, 0x07, 0x80, 0xff] {
                let mut bytes = bytes.clone();
                bytes[position] ^= turned;
                // Whatever comes of it.
                let _ = read(&bytes, 300);
            }
        }
    }
}
