//! Out and in and out again.

use serde_json::json;

use super::{Events, Kept, large, load, load_for, save, save_for, titles};
use crate::{
    Event, LoadOptions, Phase, SaveOptions,
    catalog::fixture::{PLAIN, Recipe, attestation, engine, entry},
    memory::Bytes,
};
use futures::executor::block_on;

/// Names of every kind, small and large blobs, a whole index and a partial one.
fn assorted() -> crate::catalog::fixture::TestEngine {
    let engine = engine();
    let store = &engine.store;
    store.named("docker.io/library/a:1", &PLAIN);
    let large = String::from_utf8(large(3).iter().map(|it| it & 0x7f).collect()).unwrap();
    let arm = store.image(&Recipe {
        platform: "linux/arm64",
        layers: &["base", &large],
        ..PLAIN
    });
    let amd = store.image(&Recipe {
        layers: &["base", "amd"],
        ..PLAIN
    });
    let about = store.image(&Recipe {
        layers: &["in-toto"],
        ..PLAIN
    });
    let index = store.index(&[
        entry(&amd, "linux/amd64"),
        entry(&arm, "linux/arm64"),
        attestation(&about, &amd),
    ]);
    store.name("images", "quay.io/multi/image:1", &index, &[]);
    store.name("images", "docker.io/library/a:multi", &index, &[]);
    let absent = json!({
        "mediaType": amd.media_type,
        "digest": strata_oci::Digest::sha256(b"elsewhere"),
        "size": 9,
        "platform": {"os": "linux", "architecture": "s390x"},
    });
    let partial = store.index(&[entry(&amd, "linux/amd64"), absent]);
    store.name("images", "docker.io/library/partial:1", &partial, &[]);
    engine
}

#[test]
fn saved_and_loaded_and_saved_is_the_same() {
    let from = assorted();
    let id = from.store.target_of("docker.io/library/a:1").unwrap();
    for names in [
        &["a:1"][..],
        &["a"],
        &["quay.io/multi/image", "a"],
        &["partial:1", "a:multi"],
        &[id.as_str()],
        &[],
    ] {
        let first = save(&from, names).unwrap();
        let to = engine();
        let loaded = load(&to, &first).unwrap();
        assert_eq!(save(&to, names).unwrap(), first, "{names:?}");
        assert_eq!((from.store.leases(), to.store.leases()), (0, 0));
        for image in loaded {
            assert!(to.store.has(&image.id));
        }
    }
}

#[test]
fn platforms_come_through_too() {
    let from = assorted();
    for platforms in [&["linux/arm64"][..], &["linux/amd64", "linux/arm64"]] {
        let first = save_for(&from, &["a:multi"], platforms).unwrap();
        let to = engine();
        assert_eq!(titles(load(&to, &first).unwrap()), ["a:multi"]);
        assert_eq!(save_for(&to, &["a:multi"], platforms).unwrap(), first);
        let again = engine();
        load_for(&again, &first, platforms).unwrap();
        assert_eq!(save_for(&again, &["a:multi"], platforms).unwrap(), first);
    }
}

#[test]
fn the_second_load_writes_nothing() {
    let from = assorted();
    let archive = save(&from, &["a", "partial"]).unwrap();
    let to = engine();
    load(&to, &archive).unwrap();
    let blobs = to.store.len();
    to.store.calls();
    let loaded = load(&to, &archive).unwrap();
    assert_eq!(titles(loaded), ["a:1", "a:multi", "partial:1"]);
    assert_eq!(to.store.len(), blobs);
    // Small blobs are put, which does nothing, and large ones compared.
    let writes = ["open_ingest", "write", "apply", "get"];
    let calls = to.store.calls();
    let written: Vec<_> = calls.iter().filter(|call| writes.contains(call)).collect();
    assert!(written.is_empty(), "{written:?}");
}

#[test]
fn progress_shows_large_blobs_and_names() {
    let from = assorted();
    let mut kept = Kept::default();
    let options = SaveOptions {
        names: vec!["a:multi".to_owned()],
        ..SaveOptions::default()
    };
    let events = Events::default();
    block_on(from.save(&options, &mut kept, &events)).unwrap();
    let saved = events.0.take();
    let Some((Event::Completed(done), blobs)) = saved.split_last() else {
        panic!("{saved:?}");
    };
    assert_eq!(done.reference.familiar(), "a:multi");
    // A layer, and a config that tells how it was made.
    let shown: Vec<_> = blobs
        .iter()
        .map(|event| match event {
            Event::Blob(blob) => (blob.phase, blob.current > 0, blob.current == blob.total),
            other => panic!("{other:?}"),
        })
        .collect();
    let (start, end) = (
        (Phase::Uploading, false, false),
        (Phase::Uploading, true, true),
    );
    assert_eq!(shown, [start, end, start, end]);

    let to = engine();
    let phases = || {
        let body = Bytes::of(kept.0.clone());
        let options = LoadOptions::default();
        block_on(to.load(body, &options, &events)).unwrap();
        let mut phases = Vec::new();
        let mut changed = None;
        for event in events.0.take() {
            match event {
                Event::Blob(blob) => phases.push(blob.phase),
                Event::Completed(done) => changed = Some(done.changed),
                other => panic!("{other:?}"),
            }
        }
        (phases, changed)
    };
    let (first, changed) = phases();
    let count = |phase| first.iter().filter(|it| **it == phase).count();
    assert_eq!(
        (count(Phase::Downloading), count(Phase::Downloaded)),
        (2, 2)
    );
    assert_eq!((first.len(), changed), (4, Some(true)));
    assert_eq!(phases(), (vec![Phase::AlreadyExists; 2], Some(false)));
}
