//! Archives that are broken or mean harm: refused in words, without a name set.

use serde_json::{Value, json};
use strata_oci::{Digest, archive::layout::blob_path, media_type};

use super::{
    Made, archive, docker::docker_entries, entry, index_entry, layout_entry, load, named, refusal,
    special,
};
use crate::{
    Error, Target,
    catalog::fixture::{engine, pointer},
};

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

#[test]
fn names_of_one_target_cost_no_reads() {
    let calls = |names: usize| {
        let made = Made::new(&[b"layer".to_vec()]);
        let (target, _) = made.manifest();
        let names = (0..names).map(|name| named(&target, &format!("docker.io/library/a:{name}")));
        let mut entries = made.blobs();
        entries.push(index_entry(&names.collect::<Vec<_>>()));
        entries.push(layout_entry());
        let engine = engine();
        let loaded = load(&engine, &archive(&entries)).unwrap();
        (loaded.len(), engine.store.calls().len())
    };
    let (_, one) = calls(1);
    assert_eq!(calls(1000), (1000, one));
}

#[test]
fn rows_that_are_the_same_are_one_image() {
    let made = Made::new(&[b"layer".to_vec()]);
    let mut entries = docker_entries(&made, &["a:1"]);
    let manifest = entries
        .iter()
        .position(|it| it.starts_with(b"manifest.json"));
    let row: Value = {
        let bytes = &entries[manifest.unwrap()][512..];
        let end = bytes.iter().position(|byte| *byte == 0).unwrap();
        serde_json::from_slice(&bytes[..end]).unwrap()
    };
    let rows = (0..500).map(|number| {
        let mut row = row[0].clone();
        row["RepoTags"] = json!([format!("a:{number}")]);
        row
    });
    let rows: Vec<Value> = rows.collect();
    entries[manifest.unwrap()] = entry("manifest.json", json!(rows).to_string());
    let engine = engine();
    let loaded = load(&engine, &archive(&entries)).unwrap();
    assert_eq!(loaded.len(), 500);
    assert!(engine.store.count("get") < 20);
}

#[test]
fn what_is_over_a_limit_is_refused_with_it() {
    let many = vec![json!({}); strata_oci::json::MAX_HISTORY + 1];
    let config = json!({
        "architecture": "amd64", "os": "linux", "history": many,
        "rootfs": {"type": "layers", "diff_ids": []},
    });
    let made = Made {
        config: config.to_string().into_bytes(),
        layers: Vec::new(),
    };
    let (target, _) = made.manifest();
    let mut layout = made.blobs();
    layout.push(index_entry(&[named(&target, "docker.io/library/a:1")]));
    layout.push(layout_entry());
    for entries in [layout, docker_entries(&made, &["a:1"])] {
        let error = load(&engine(), &archive(&entries)).unwrap_err();
        assert!(matches!(error, Error::QuotaExceeded(_)), "{error:?}");
        let text = error.to_string();
        assert!(
            text.ends_with("too many history entries, the limit is 16384"),
            "{text}"
        );
    }
}

#[test]
fn an_index_of_what_cannot_be_read_is_refused() {
    let made = Made::new(&[b"layer".to_vec()]);
    let (mut target, manifest) = made.manifest();
    let members: Vec<String> = (0..=strata_oci::json::MAX_ANNOTATIONS)
        .map(|it| format!("\"{it}\":\"\""))
        .collect();
    let mut manifest = String::from_utf8(manifest).unwrap();
    manifest.pop();
    manifest.push_str(&format!(",\"annotations\":{{{}}}}}", members.join(",")));
    target.digest = Digest::sha256(manifest.as_bytes());
    target.size = manifest.len() as u64;
    let index = json!({"schemaVersion": 2, "manifests": [pointer(&target)]}).to_string();
    let top = Target {
        media_type: media_type::OCI_INDEX.to_owned(),
        digest: Digest::sha256(index.as_bytes()),
        size: index.len() as u64,
    };
    let mut entries = made.blobs();
    for bytes in [&manifest, &index] {
        entries.push(entry(&blob_path(&Digest::sha256(bytes.as_bytes())), bytes));
    }
    entries.push(index_entry(&[named(&top, "docker.io/library/a:1")]));
    entries.push(layout_entry());
    let error = load(&engine(), &archive(&entries)).unwrap_err();
    assert!(matches!(error, Error::QuotaExceeded(_)), "{error:?}");
    assert!(
        error
            .to_string()
            .ends_with("too many annotations, the limit is 32768")
    );
}

#[test]
fn a_long_chain_of_referrers_is_kept() {
    let made = Made::new(&[b"layer".to_vec()]);
    let (target, manifest) = made.manifest();
    let mut chain = vec![(target.clone(), manifest)];
    let empty = Digest::sha256(b"{}");
    for _ in 0..300 {
        let (subject, _) = chain.last().unwrap();
        let bytes = json!({
            "schemaVersion": 2, "artifactType": "a/b", "layers": [], "subject": pointer(subject),
            "config": {"mediaType": "a/c", "digest": empty, "size": 2},
        });
        let bytes = bytes.to_string().into_bytes();
        let about = Target {
            media_type: media_type::OCI_MANIFEST.to_owned(),
            digest: Digest::sha256(&bytes),
            size: bytes.len() as u64,
        };
        chain.push((about, bytes));
    }
    let mut entries = made.blobs();
    entries.push(entry(&blob_path(&empty), "{}"));
    let mut rows = vec![named(&target, "docker.io/library/a:1")];
    for (about, bytes) in chain.iter().skip(1).rev() {
        rows.push(pointer(about));
        entries.push(entry(&blob_path(&about.digest), bytes));
    }
    entries.push(index_entry(&rows));
    entries.push(layout_entry());
    let engine = engine();
    assert_eq!(load(&engine, &archive(&entries)).unwrap().len(), 1);
    assert_eq!(engine.store.names_of("images").len(), 1);
    assert_eq!(engine.store.names_of("referrers").len(), 300);
}
