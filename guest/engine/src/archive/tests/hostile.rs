//! Archives that are broken or mean harm: refused in words, without a name set.

use serde_json::json;

use super::{
    Made, archive, docker::docker_entries, entry, index_entry, layout_entry, load, named, refusal,
    special,
};
use crate::catalog::fixture::engine;

/// The entries of a good layout.
fn layout() -> Vec<Vec<u8>> {
    let made = Made::new(&[b"layer".to_vec()]);
    let (target, _) = made.manifest();
    let mut entries = made.blobs();
    entries.push(index_entry(&[named(&target, "docker.io/library/a:1")]));
    entries.push(layout_entry());
    entries
}

/// The entries of a good Docker archive.
fn docker() -> Vec<Vec<u8>> {
    docker_entries(&Made::new(&[b"layer".to_vec()]), &["a:1"])
}

#[test]
fn cut_at_any_block_and_within_them_nothing_has_a_name() {
    for entries in [layout(), docker()] {
        let bytes = archive(&entries);
        let starts = entries.iter().scan(0, |start, entry| {
            let this = *start;
            *start += entry.len();
            Some(this)
        });
        let starts: Vec<usize> = starts.collect();
        let end = bytes.len() - 1024;
        for block in 0..bytes.len() / 512 {
            for more in [0, 1, 511] {
                let length = block * 512 + more;
                // Without the end it is whole.
                if length >= end {
                    load(&engine(), &bytes[..length]).unwrap();
                    continue;
                }
                let in_header = starts.iter().any(|it| *it < length && length < it + 512);
                if in_header {
                    let expected =
                        format!("unexpected end of archive after {length} bytes, it was cut off");
                    assert_eq!(refusal(&engine(), &bytes[..length]), expected);
                    continue;
                }
                // Between entries and in padding nobody can tell: then something may be missing.
                let engine = engine();
                if load(&engine, &bytes[..length]).is_err() {
                    assert_eq!(engine.store.names_of("images"), [""; 0], "{length}");
                }
            }
        }
    }
}

#[test]
fn odd_entries_are_refused_whatever_the_archive() {
    let size = 9 << 20;
    let mut huge = super::file_header("manifest.json", 0o644, size);
    huge.resize(huge.len() + usize::try_from(size).unwrap(), b' ');
    let sparse = special("sparse", b'S', "");
    let long = {
        let name = "n".repeat(10_000);
        let mut bytes = entry("././@LongLink", &name);
        bytes[156] = b'L';
        bytes[148..156].fill(b' ');
        let sum: u32 = bytes[..512].iter().map(|byte| u32::from(*byte)).sum();
        bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bytes.extend(entry("short", ""));
        bytes
    };
    let rows: Vec<(Vec<Vec<u8>>, &str)> = vec![
        (
            vec![entry("../a", "")],
            "archive entry \"../a\" leads out of the archive",
        ),
        (
            vec![entry("a/../../b", "")],
            "archive entry \"a/../../b\" leads out of the archive",
        ),
        (
            vec![entry("/etc/passwd", "")],
            "archive entry \"/etc/passwd\" leads out of the archive",
        ),
        (
            vec![special("a/link", b'2', "../../etc/passwd")],
            "archive entry \"a/link\" links to \"../../etc/passwd\", out of the archive",
        ),
        (
            vec![special("link", b'2', "/etc/passwd")],
            "archive entry \"link\" links to \"/etc/passwd\", out of the archive",
        ),
        (
            vec![special("link", b'1', "../x")],
            "archive entry \"../x\" leads out of the archive",
        ),
        (
            vec![special("null", b'3', "")],
            "archive entry \"null\" is a device or pipe, which no image archive has",
        ),
        (
            vec![special("pipe", b'6', "")],
            "archive entry \"pipe\" is a device or pipe, which no image archive has",
        ),
        (
            vec![sparse],
            "archive entry \"sparse\" is a sparse file, pack the archive without sparse files",
        ),
        (
            vec![long],
            "an archive entry has a name of 10000 bytes, the limit is 4096",
        ),
        (
            vec![huge],
            "manifest.json has 9437184 bytes, the limit is 8388608",
        ),
        (
            vec![entry("index.json", "1"), entry("./index.json", "2")],
            "the archive has two different entries \"index.json\"",
        ),
        (
            vec![vec![b'?'; 512]],
            "invalid tar header at byte 0: this is no tar archive, plain or compressed with gzip, bzip2, xz or zstd",
        ),
    ];
    for (odd, expected) in rows {
        for mut entries in [layout(), docker()] {
            entries.splice(0..0, odd.clone());
            assert_eq!(refusal(&engine(), &archive(&entries)), expected);
        }
    }
}

#[test]
fn entries_with_one_name_must_be_the_same() {
    let rows = [
        (entry("x.tar", "1"), entry("./x.tar", "1"), true),
        (entry("x.tar", "1"), entry("x.tar", "2"), false),
        (entry("x.tar", "1"), special("x.tar", b'2', "y"), false),
        (special("x", b'2', "y"), special("x", b'2', "./y"), true),
        (special("x", b'2', "y"), special("x", b'2', "z"), false),
    ];
    for (first, second, same) in rows {
        let mut entries = docker();
        entries.extend([first, second]);
        assert_eq!(load(&engine(), &archive(&entries)).is_ok(), same);
    }
}

#[test]
fn documents_that_nest_without_end_are_refused() {
    for document in ["[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let mut entries = layout();
        let at = entries.len() - 2;
        entries[at] = entry("index.json", &document);
        let found = refusal(&engine(), &archive(&entries));
        assert!(found.starts_with("invalid index.json: "), "{found}");
        entries[at] = index_entry(&[]);
        entries.push(entry("manifest.json", &document));
        load(&engine(), &archive(&entries)).unwrap();
    }
}

#[test]
fn an_empty_layout_is_no_error() {
    let entries = [index_entry(&[]), layout_entry()];
    assert_eq!(load(&engine(), &archive(&entries)), Ok(Vec::new()));
    let rows = [entry("manifest.json", json!([]).to_string())];
    assert_eq!(load(&engine(), &archive(&rows)), Ok(Vec::new()));
    let none = archive(&[]);
    assert_eq!(refusal(&engine(), &none), "unrecognized image format");
}
