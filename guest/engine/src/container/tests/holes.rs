//! Files with holes.

use strata_oci::archive::Compression;

use super::*;
use crate::Error;

/// A tar with a file of this size, of which `head` and, at 1024, `middle` are stored, and another file
/// after it.
fn sparse_tar(size: u64) -> Vec<u8> {
    let entry = |path: &str, size| {
        header(&Entry {
            path: path.into(),
            kind: Kind::File(size),
            metadata: Metadata::default(),
        })
    };
    let record = |key: &str, value: &str| {
        let rest = key.len() + value.len() + 3;
        let length = (rest..).find(|it| *it == rest + it.to_string().len());
        format!("{} {key}={value}\n", length.unwrap())
    };
    let records = [
        record("GNU.sparse.map", "0,4,1024,6"),
        record("GNU.sparse.numblocks", "2"),
        record("GNU.sparse.size", &size.to_string()),
    ]
    .concat();
    let mut extension = entry("x", records.len() as u64);
    extension[156] = b'x';
    extension[148..156].fill(b' ');
    let sum: u32 = extension.iter().map(|byte| u32::from(*byte)).sum();
    extension[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    let padded = |content: &[u8]| {
        let mut content = content.to_vec();
        content.resize(content.len().next_multiple_of(512), 0);
        content
    };
    [
        extension,
        padded(records.as_bytes()),
        entry("sparse", 10),
        padded(b"headmiddle"),
        entry("other", 5),
        padded(b"there"),
        END.to_vec(),
    ]
    .concat()
}

#[test]
fn files_with_holes_are_whole_wherever_they_go() {
    let mut whole = vec![0; 3000];
    whole[..4].copy_from_slice(b"head");
    whole[1024..1030].copy_from_slice(b"middle");
    let check = |engine: &TestEngine| {
        for path in ["/sparse", "/other"] {
            let out = untar(&copy_out(engine, path).unwrap());
            let [(entry, content)] = out.as_slice() else {
                panic!("{path}: {out:?}");
            };
            let expected = match path {
                "/sparse" => whole.as_slice(),
                _ => b"there",
            };
            assert_eq!(entry.kind, Kind::File(expected.len() as u64));
            assert_eq!(content, expected, "{path}");
        }
        let all = untar(&export(engine));
        assert!(all.iter().any(|(_, content)| *content == whole));
    };
    // In a layer of the image, plain and compressed.
    for layer in [
        sparse_tar(3000),
        codec::compressed(Compression::Gzip, &sparse_tar(3000)),
    ] {
        let engine = fixture_of(layer);
        check(&engine);
        // From what the store kept.
        engine.roots.take();
        check(&engine);
    }
    // Copied in, which other tools read as any other file.
    let engine = usual();
    copy_in(&engine, "/", sparse_tar(3000)).unwrap();
    check(&engine);
    assert_eq!(changes(&engine), ["A /other", "A /sparse"]);
    let image = commit(&engine, &CommitOptions::default()).unwrap();
    let manifest = engine.store.bytes(&image).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let layer = manifest["layers"].as_array().unwrap().last().unwrap();
    let layer = Digest::parse(layer["digest"].as_str().unwrap()).unwrap();
    let layer = untar(&engine.store.bytes(&layer).unwrap());
    assert!(layer.iter().any(|(_, content)| *content == whole));
}

#[test]
fn holes_that_would_fill_the_disk_are_refused() {
    let engine = usual();
    let refused = copy_in(&engine, "/", sparse_tar(1 << 40));
    assert!(
        matches!(refused, Err(Error::QuotaExceeded(_))),
        "{refused:?}"
    );
    // In a layer they block nothing.
    let engine = fixture_of(sparse_tar(1 << 40));
    assert_eq!(
        lines(&copy_out(&engine, "/other").unwrap()),
        ["f other there"]
    );
    let found = block_on(engine.stat_path("box", b"/sparse")).unwrap();
    assert_eq!(found.size, 1 << 40);
}

/// A container of an image with one layer.
fn fixture_of(layer: Vec<u8>) -> TestEngine {
    let engine = engine();
    image(&engine, "docker.io/library/app:latest", &[layer]);
    create(&engine, "box").unwrap();
    engine
}
