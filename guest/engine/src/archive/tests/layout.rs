//! Loading OCI layouts.
//!
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use futures::executor::block_on;
use serde_json::{Value, json};
use strata_oci::{Digest, archive::layout::blob_path};

use super::{
    Made, archive, entry, index_entry, large, layout_entry, load, named, refusal, special, titles,
};
use crate::{
    Ingest as _, IngestState, Store as _, Verdict,
    catalog::fixture::{TestEngine, engine, pointer},
};

/// An image with a small and a large layer, and its archive's entries.
fn image() -> (Made, Vec<Vec<u8>>) {
    let made = Made::new(&[b"small".to_vec(), large(1)]);
    let (target, _) = made.manifest();
    let mut entries = vec![
        layout_entry(),
        index_entry(&[named(&target, "docker.io/library/a:1")]),
    ];
    entries.extend(made.blobs());
    (made, entries)
}

/// Checks that the image is there and nothing is left over.
fn check(engine: &TestEngine, made: &Made, name: &str) {
    let (target, manifest) = made.manifest();
    assert_eq!(engine.store.target_of(name), Some(target.digest.clone()));
    assert_eq!(engine.store.bytes(&target.digest), Some(manifest));
    for layer in &made.layers {
        assert!(engine.store.has(&Digest::sha256(layer)));
    }
    assert_eq!(engine.store.leases(), 0);
}

#[test]
fn entries_may_come_in_any_order() {
    let (made, entries) = image();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    for rotation in 0..entries.len() {
        for reversed in [false, true] {
            order.rotate_left(1);
            let mut order = order.clone();
            if reversed {
                order.reverse();
            }
            let entries: Vec<_> = order.iter().map(|at| entries[*at].clone()).collect();
            let engine = engine();
            let loaded = load(&engine, &archive(&entries)).unwrap();
            assert_eq!(titles(loaded), ["a:1"], "{rotation} {reversed}");
            check(&engine, &made, "docker.io/library/a:1");
        }
    }
}

#[test]
fn what_another_download_left_is_written_anew() {
    let (made, entries) = image();
    let engine = engine();
    let layer = &made.layers[1];
    let (digest, size) = (Digest::sha256(layer), layer.len() as u64);
    block_on(async {
        let store = &engine.store;
        let lease = store.acquire_lease().await.unwrap();
        let opened = store.open_ingest(&digest, size, &lease).await.unwrap();
        let IngestState::Open(partial) = opened else {
            panic!("nobody else has it");
        };
        partial.write(b"other bytes".to_vec()).await.unwrap();
        drop(lease);
    });
    load(&engine, &archive(&entries)).unwrap();
    check(&engine, &made, "docker.io/library/a:1");
}

#[test]
fn extras_and_other_spellings_do_no_harm() {
    let (made, mut entries) = image();
    let manifest = "[{\"Config\":\"nonsense\"}]";
    entries.extend([
        special("./", b'5', ""),
        special("blobs/", b'5', ""),
        special("link", b'2', "anywhere"),
        entry("manifest.json", manifest),
        entry("repositories", "{}"),
        entry("readme.txt", "hello"),
        entry("blobs/sha256/nonsense", "?"),
        entry("blobs/md5/d41d8cd98f00b204e9800998ecf8427e", ""),
        special("label", b'V', ""),
    ]);
    // The same again is no contradiction.
    entries.extend(image().1);
    for entry in &mut entries {
        if entry[..5] == *b"blobs" && entry[156] == b'0' {
            let path = String::from_utf8(entry[..100].to_vec()).unwrap();
            let path = format!("./{}", path.trim_end_matches('\0'));
            let size = entry.len() - 512;
            let mut moved = super::file_header(&path, 0o444, 0);
            moved[124..136].copy_from_slice(&entry[124..136]);
            moved[148..156].fill(b' ');
            let sum: u32 = moved.iter().map(|byte| u32::from(*byte)).sum();
            moved[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            moved.extend_from_slice(&entry[512..512 + size]);
            *entry = moved;
        }
    }
    let engine = engine();
    load(&engine, &archive(&entries)).unwrap();
    check(&engine, &made, "docker.io/library/a:1");
}

#[test]
fn names_come_from_annotations_verbatim() {
    let (made, entries) = image();
    let (target, _) = made.manifest();
    let id = target.digest.to_string();
    let dangling = format!("moby-dangling@{id}");
    let both = json!({
        "io.containerd.image.name": "docker.io/library/a:1",
        "org.opencontainers.image.ref.name": "1",
    });
    let reference = |name: &str| json!({ "org.opencontainers.image.ref.name": name });
    let rows: [(Value, &str, &str); 9] = [
        (both, "docker.io/library/a:1", "a:1"),
        (reference("latest"), "latest", "latest:latest"),
        (reference("b:2"), "b:2", "b:2"),
        (reference("quay.io/x/y:2"), "quay.io/x/y:2", "quay.io/x/y:2"),
        (reference("My Image"), "My Image", "My Image"),
        (reference(""), &dangling, &id),
        (reference(&dangling), &dangling, &id),
        (json!({}), &dangling, &id),
        (json!(null), &dangling, &id),
    ];
    for (annotations, name, title) in rows {
        let mut descriptor = pointer(&target);
        descriptor["annotations"] = annotations;
        let mut entries = entries.clone();
        entries[1] = index_entry(&[descriptor]);
        let engine = engine();
        let loaded = load(&engine, &archive(&entries)).unwrap();
        assert_eq!(titles(loaded), [title]);
        assert_eq!(engine.store.names_of("images"), [name]);
    }
}

#[test]
fn entries_of_unknown_kind_are_passed_over() {
    let (made, mut entries) = image();
    let (target, _) = made.manifest();
    let mut untyped = named(&target, "docker.io/library/untyped:1");
    untyped["mediaType"] = json!("");
    let unknown = json!({
        "mediaType": "application/vnd.example",
        "digest": Digest::sha256(b"nowhere"),
        "size": 7,
    });
    entries[1] = index_entry(&[unknown, untyped]);
    let engine = engine();
    let loaded = load(&engine, &archive(&entries)).unwrap();
    assert_eq!(titles(loaded), ["untyped:1"]);
    let names = &engine.list_names();
    assert_eq!(names[0].1, target.media_type, "found out");
}

#[test]
fn what_is_missing_or_lies_is_refused() {
    let (made, entries) = image();
    let (target, manifest) = made.manifest();
    let digest = &target.digest;
    let config = Digest::sha256(&made.config);
    let [small, large] = [0, 1].map(|number| Digest::sha256(&made.layers[number]));
    let without = |gone: &Digest| {
        let path = blob_path(gone);
        let gone = |entry: &&Vec<u8>| !entry.starts_with(path.as_bytes());
        entries.iter().filter(gone).cloned().collect::<Vec<_>>()
    };
    let with = |position: usize, entry: Vec<u8>| {
        let mut entries = entries.clone();
        entries[position] = entry;
        entries
    };
    let described = |change: &dyn Fn(&mut Value)| {
        let mut descriptor = named(&target, "docker.io/library/a:1");
        change(&mut descriptor);
        with(1, index_entry(&[descriptor]))
    };
    let version = entry("oci-layout", r#"{"imageLayoutVersion":"2.0.0"}"#);
    let mut damaged = super::large(1);
    damaged[1000] ^= 1;
    let other = Digest::sha256(&damaged);
    let rows: Vec<(Vec<Vec<u8>>, String)> = vec![
        (
            without(&config),
            format!("image a:1 is incomplete in the archive: {config} is missing"),
        ),
        (
            without(&small),
            format!("image a:1 is incomplete in the archive: {small} is missing"),
        ),
        (
            without(&large),
            format!("image a:1 is incomplete in the archive: {large} is missing"),
        ),
        (
            without(digest),
            format!("image a:1 is not in the archive: {digest} is missing"),
        ),
        (
            entries[..1].iter().chain(&entries[2..]).cloned().collect(),
            "missing index.json in OCI layout 1.0.0".to_owned(),
        ),
        (with(0, version), "unsupported OCI version 2.0.0".to_owned()),
        (
            with(0, entry("oci-layout", "{}")),
            "unrecognized image format".to_owned(),
        ),
        (
            with(0, entry("oci-layout", "[]")),
            "untar oci layout \"oci-layout\": invalid type: sequence, expected an object"
                .to_owned(),
        ),
        (
            with(2, entry(&blob_path(digest), b"{}")),
            format!(
                "the archive is damaged: {digest} has other content, its digest is {}",
                Digest::sha256(b"{}")
            ),
        ),
        (
            with(5, entry(&blob_path(&large), &damaged)),
            format!("the archive is damaged: {large} has other content, its digest is {other}"),
        ),
        (
            described(&|it| it["size"] = json!(1)),
            format!(
                "failed size validation: {digest} has {} bytes, its descriptor says 1",
                manifest.len()
            ),
        ),
        (
            described(&|it| it["mediaType"] = json!("application/vnd.oci.image.index.v1+json")),
            format!(
                "{digest} is announced as application/vnd.oci.image.index.v1+json but is application/vnd.oci.image.manifest.v1+json"
            ),
        ),
        (
            described(&|it| it["digest"] = json!(small)),
            format!(
                "{small}: invalid manifest: invalid character 's' looking for beginning of value (byte 0)"
            ),
        ),
        (
            described(&|it| {
                it["mediaType"] = json!("application/vnd.docker.distribution.manifest.v1+json");
            }),
            format!("{digest} is a Docker schema 1 manifest, which is no longer supported"),
        ),
        (
            described(&|it| it["annotations"]["io.containerd.image.name"] = json!("a\u{1b}[2J")),
            "image name \"a\\u{1b}[2J\" in index.json has control characters".to_owned(),
        ),
        (
            described(&|it| {
                it["annotations"]["io.containerd.image.name"] = json!("n".repeat(10_000));
            }),
            "an image name in index.json has 10000 bytes, the limit is 4096".to_owned(),
        ),
        (
            described(&|it| {
                let name = format!("docker.io/library/a@{small}");
                it["annotations"]["io.containerd.image.name"] = json!(name);
            }),
            format!(
                "image name \"docker.io/library/a@{small}\" in index.json has another digest than its content, {digest}"
            ),
        ),
    ];
    for (entries, expected) in rows {
        let engine = engine();
        let found = refusal(&engine, &archive(&entries));
        assert_eq!(found, expected);
        assert_eq!(engine.store.leases(), 0);
    }
}

#[test]
fn layers_must_match_diff_ids_in_number() {
    let made = Made::new(&[b"one".to_vec()]);
    let fewer = Made {
        config: Made::new(&[]).config,
        layers: made.layers,
    };
    let (target, _) = fewer.manifest();
    let mut entries = vec![layout_entry(), index_entry(&[named(&target, "a:1")])];
    entries.extend(fewer.blobs());
    assert_eq!(
        refusal(&engine(), &archive(&entries)),
        "mismatched image rootfs and manifest layers: 0 diff-ids for 1 layers"
    );
}

#[test]
fn what_is_cut_in_an_archive_is_refused_though_it_is_here_whole() {
    let (made, mut entries) = image();
    let engine = engine();
    let large = &made.layers[1];
    engine.store.insert(large.clone());
    let digest = Digest::sha256(large);
    entries[5] = entry(&blob_path(&digest), &large[1..]);
    let refusal = refusal(&engine, &archive(&entries));
    let expected = format!("the archive is damaged: {digest} has other content");
    assert!(refusal.starts_with(&expected), "{refusal}");
}

#[test]
fn what_is_damaged_here_is_replaced() {
    let (made, entries) = image();
    let (target, manifest) = made.manifest();
    let config = Digest::sha256(&made.config);
    let layers = made.layers.iter().map(|layer| Digest::sha256(layer));
    for digest in layers.chain([config, target.digest]) {
        for (known, cut) in [(false, false), (true, false), (false, true)] {
            let engine = engine();
            load(&engine, &archive(&entries)).unwrap();
            match cut {
                true => engine.store.truncate(&digest, 3),
                false => engine.store.damage(&digest),
            }
            if known {
                let verdict = block_on(engine.store.verify(&digest)).unwrap();
                assert!(matches!(verdict, Verdict::Damaged(_)));
            }
            assert_eq!(titles(load(&engine, &archive(&entries)).unwrap()), ["a:1"]);
            let stored = engine.store.bytes(&digest).unwrap();
            assert!(digest.verifies(&stored), "{digest} {known} {cut}");
            assert_eq!(engine.store.damage_of(&digest), None);
            check(&engine, &made, "docker.io/library/a:1");
        }
    }
    assert!(!manifest.is_empty());
}

#[test]
fn other_bytes_in_the_archive_than_here_damage_nothing() {
    let (made, mut entries) = image();
    let engine = engine();
    load(&engine, &archive(&entries)).unwrap();
    let large = Digest::sha256(&made.layers[1]);
    let mut other = made.layers[1].clone();
    other[1000] ^= 1;
    entries[5] = entry(&blob_path(&large), &other);
    let error = load(&engine, &archive(&entries)).unwrap_err().to_string();
    assert!(error.starts_with("the archive is damaged"), "{error}");
    check(&engine, &made, "docker.io/library/a:1");
}
