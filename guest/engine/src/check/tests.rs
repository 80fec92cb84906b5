//! What a check says of stores with one thing wrong, and what mending does without a registry.

use std::collections::HashMap;

use futures::executor::block_on;
use serde_json::json;
use strata_oci::{Digest, media_type};

use super::{CheckReport, Fault, FaultKind, Outcome};
use crate::{
    Silent, Store as _, Target,
    catalog::fixture::{PLAIN, Recipe, TestEngine, engine, entry, pointer},
};

const NAME: &str = "docker.io/library/one:1";

fn check(engine: &TestEngine, quick: bool) -> CheckReport {
    block_on(engine.check_store(quick, &Silent)).unwrap()
}

/// `kind digest` of each fault.
fn faults(report: &CheckReport) -> Vec<(FaultKind, Digest)> {
    let faults = report.faults.iter();
    faults.map(|it| (it.kind, it.blob.digest.clone())).collect()
}

/// An image named [`NAME`], its config and its layer.
fn image(engine: &TestEngine) -> (Target, Digest, Digest) {
    let target = engine.store.named(NAME, &PLAIN);
    let manifest = engine.store.bytes(&target.digest).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let digest = |value: &serde_json::Value| Digest::parse(value.as_str().unwrap()).unwrap();
    let config = digest(&manifest["config"]["digest"]);
    let layer = digest(&manifest["layers"][0]["digest"]);
    (target, config, layer)
}

#[test]
fn a_sound_store_is_clean() {
    let engine = engine();
    let (target, ..) = image(&engine);
    engine.store.container("box", &target, NAME, false);
    let index = engine.store.index(&[
        entry(&target, "linux/amd64"),
        json!({"mediaType": media_type::OCI_MANIFEST, "digest": Digest::sha256(b"elsewhere"), "size": 9}),
    ]);
    engine
        .store
        .name("images", "docker.io/library/many:1", &index, &[]);
    engine.store.insert("nothing needs this");
    for quick in [true, false] {
        let report = check(&engine, quick);
        assert_eq!(report.faults, []);
        assert_eq!(report.affected, []);
        assert_eq!((report.blobs, report.targets), (6, 3));
    }
}

#[test]
fn damage_is_found_named_and_traced_to_its_images() {
    for (what, quick_too) in [(0, true), (1, true), (2, false)] {
        let engine = engine();
        let (target, config, layer) = image(&engine);
        let blob = [&target.digest, &config, &layer][what].clone();
        engine.store.named(
            "docker.io/library/other:1",
            &Recipe {
                layers: &["else"],
                ..PLAIN
            },
        );
        engine.store.damage(&blob);
        let quick = check(&engine, true);
        assert_eq!(!quick.faults.is_empty(), quick_too, "{what}");
        let report = check(&engine, false);
        assert_eq!(
            faults(&report),
            [(FaultKind::Damaged, blob.clone())],
            "{what}"
        );
        assert_eq!(report.affected.len(), 1, "{what}");
        assert_eq!(report.affected[0].names, ["one:1"]);
        assert_eq!(report.affected[0].target, target.digest);
        assert_eq!(report.affected[0].faults, [blob]);
        // Nobody noted where it came from, and its name says nothing about that.
        assert_eq!(report.faults[0].sources, [""; 0]);
    }
}

#[test]
fn a_container_is_called_what_people_call_it() {
    let id = "0123456789abcdef".repeat(4);
    for (own_name, shown) in [("box", "box"), ("", "0123456789ab")] {
        let engine = engine();
        let store = &engine.store;
        let record = store.document("application/json", &json!({"container": own_name}));
        store.name("containers", &id, &record, &[("container-name", own_name)]);
        store.damage(&record.digest);
        assert_eq!(check(&engine, true).affected[0].names, [shown]);
    }
}

#[test]
fn only_repositories_that_were_noted_are_asked() {
    let engine = engine();
    let (target, config, layer) = image(&engine);
    let store = &engine.store;
    let label = ("source.quay.io", "a/b,c/d");
    store.name("images", "localhost/copy:1", &target, &[label]);
    block_on(store.note_source(std::slice::from_ref(&layer), "ghcr.io/e/f")).unwrap();
    for digest in [&layer, &config] {
        store.damage(digest);
    }
    let report = check(&engine, false);
    for fault in &report.faults {
        let all = ["ghcr.io/e/f", "quay.io/a/b", "quay.io/c/d"];
        let expected = match fault.blob.digest == layer {
            true => &all[..],
            false => &all[1..],
        };
        assert_eq!(fault.sources, expected);
    }
    assert_eq!(report.faults.len(), 2);
}

#[test]
fn what_is_cut_or_gone_is_found_without_hashing() {
    let engine = engine();
    let (_, _, layer) = image(&engine);
    engine.store.truncate(&layer, 2);
    assert_eq!(
        faults(&check(&engine, true)),
        [(FaultKind::Damaged, layer.clone())]
    );
    let engine = self::engine();
    let (_, _, layer) = image(&engine);
    engine.store.lose(&layer);
    let report = check(&engine, true);
    assert_eq!(faults(&report), [(FaultKind::Missing, layer)]);
    assert_eq!(report.faults[0].blob.size, 5);
}

#[test]
fn a_platform_that_was_never_fetched_is_no_fault_but_half_of_one_is() {
    let engine = engine();
    let (whole, ..) = image(&engine);
    let arm = Recipe {
        platform: "linux/arm64",
        layers: &["a", "b"],
        ..PLAIN
    };
    let arm = engine.store.image(&arm);
    let manifest = engine.store.bytes(&arm.digest).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let index = [entry(&whole, "linux/amd64"), entry(&arm, "linux/arm64")];
    let index = engine.store.index(&index);
    engine
        .store
        .name("images", "docker.io/library/many:1", &index, &[]);
    let parts = [
        &manifest["layers"][0],
        &manifest["layers"][1],
        &manifest["config"],
    ];
    let parts = parts.map(|part| Digest::parse(part["digest"].as_str().unwrap()).unwrap());
    engine.store.lose(&parts[0]);
    assert_eq!(
        faults(&check(&engine, true)),
        [(FaultKind::Missing, parts[0].clone())]
    );
    engine.store.lose(&parts[1]);
    engine.store.lose(&parts[2]);
    assert_eq!(faults(&check(&engine, true)), []);
}

#[test]
fn documents_that_make_no_sense_are_invalid_not_damaged() {
    let engine = engine();
    let nonsense = engine.store.document(media_type::OCI_CONFIG, &json!([1]));
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": pointer(&nonsense),
        "layers": [],
    });
    let manifest = engine.store.document(media_type::OCI_MANIFEST, &manifest);
    engine.store.name("images", NAME, &manifest, &[]);
    let report = check(&engine, false);
    assert_eq!(faults(&report), [(FaultKind::Invalid, nonsense.digest)]);
    let mended = mend(&engine, &report);
    assert!(
        matches!(mended.as_slice(), [Outcome::Unrepaired(_)]),
        "{mended:?}"
    );
}

#[test]
fn a_layer_that_unpacks_to_something_else_is_invalid() {
    let engine = engine();
    let (_, config, layer) = image(&engine);
    let mut changed: serde_json::Value =
        serde_json::from_slice(&engine.store.bytes(&config).unwrap()).unwrap();
    changed["rootfs"]["diff_ids"] = json!([Digest::sha256(b"other")]);
    let config = engine.store.document(media_type::OCI_CONFIG, &changed);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": pointer(&config),
        "layers": [{"mediaType": media_type::OCI_LAYER, "digest": layer, "size": 5}],
    });
    let manifest = engine.store.document(media_type::OCI_MANIFEST, &manifest);
    engine
        .store
        .name("images", "docker.io/library/lying:1", &manifest, &[]);
    assert_eq!(faults(&check(&engine, true)), [(FaultKind::Invalid, layer)]);
}

#[test]
fn what_no_repository_has_is_moved_away_and_nothing_else() {
    let engine = engine();
    image(&engine);
    let stray = engine.store.insert("nothing needs this");
    engine.store.damage(&stray);
    let count = engine.store.len();
    let report = check(&engine, false);
    assert_eq!(report.affected, []);
    let mended = mend(&engine, &report);
    assert!(
        matches!(mended.as_slice(), [Outcome::Quarantined(_)]),
        "{mended:?}"
    );
    assert_eq!(engine.store.len(), count - 1);
    assert_eq!(check(&engine, false).faults, []);
}

fn mend(engine: &TestEngine, report: &CheckReport) -> Vec<Outcome> {
    let faults: &[Fault] = &report.faults;
    let mended = block_on(engine.repair(faults, &HashMap::new(), &Silent)).unwrap();
    mended.into_iter().map(|mended| mended.outcome).collect()
}
