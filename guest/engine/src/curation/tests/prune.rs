use super::*;
use crate::Lease as _;

#[test]
fn prune_takes_dangling_images_and_everything_unreferenced() {
    let engine = engine();
    let store = &engine.store;
    let kept = store.named("docker.io/library/a:1", &with_layers(&["base", "1"]));
    let lost = store.image(&with_layers(&["base", "2"]));
    store.name("images", &dangling(&lost), &lost, &[]);
    let used = store.image(&with_layers(&["3"]));
    store.name("images", &dangling(&used), &used, &[]);
    store.container("c1", &used, "whatever", false);
    let orphan = store.image(&with_layers(&["base", "orphan"]));
    let before: u64 = sizes(store);
    let lease = block_on(store.acquire_lease()).unwrap();
    block_on(async {
        let digest = Digest::sha256(b"partial");
        let state = store.open_ingest(&digest, 7, &lease).await.unwrap();
        let crate::IngestState::Open(ingest) = state else {
            panic!()
        };
        let body = crate::memory::Bytes::of(b"part".to_vec());
        crate::Ingest::append(&ingest, body).await.unwrap();
    });
    drop(lease);

    let pruned = prune(&engine, Filters::default());
    assert_eq!(
        pruned.removals,
        [untagged(lost.digest.as_str()), deleted(&lost)]
    );
    assert_eq!(pruned.reclaimed, before - sizes(store) + 4);
    assert!(store.has(&kept.digest) && store.has(&used.digest) && !store.has(&orphan.digest));
    assert!(store.has(&Memory::layer("base")));
    assert_eq!(prune(&engine, Filters::default()), Pruned::default());
}

fn sizes(store: &Memory) -> u64 {
    block_on(store.blobs())
        .unwrap()
        .iter()
        .map(|(_, size)| size)
        .sum()
}

#[test]
fn prune_of_all_keeps_what_containers_need() {
    let engine = engine();
    let store = &engine.store;
    let by_name = store.named("docker.io/library/a:1", &with_layers(&["1"]));
    store.name("images", "docker.io/library/a:2", &by_name, &[]);
    let by_id = store.named("docker.io/library/b:1", &with_layers(&["2"]));
    store.name("images", "docker.io/library/b:2", &by_id, &[]);
    let unused = store.named("docker.io/library/c:1", &with_layers(&["3"]));
    store.container("c1", &by_name, "a:2", true);
    store.container("c2", &by_name, "a:2", false);
    store.container("c3", &by_id, by_id.digest.short(), false);
    store.calls();
    let pruned = prune(&engine, ALL);
    let mut calls = store.calls();
    calls.retain(|call| ["apply", "delete"].contains(call));
    assert_eq!(
        calls,
        ["apply", "delete"],
        "one of each, however many images"
    );
    let mut removals = pruned.removals;
    removals.sort_by_key(|removal| format!("{removal:?}"));
    let expected = [
        deleted(&unused),
        untagged("a:1"),
        untagged("b:2"),
        untagged("c:1"),
    ];
    assert_eq!(removals, expected);
    assert_eq!(
        store.names_of("images"),
        ["docker.io/library/a:2", "docker.io/library/b:1"]
    );
}

#[test]
fn prune_filters() {
    let default = Filters::default;
    let labelled = |labels: &[&str], without: &[&str]| Filters {
        labels: labels.iter().map(|&it| it.to_owned()).collect(),
        without_labels: without.iter().map(|&it| it.to_owned()).collect(),
        ..ALL
    };
    let cases: [(Filters, &[&str]); 6] = [
        (default(), &["a:1", "b:1"]),
        (ALL, &[]),
        (labelled(&["keep"], &[]), &["b:1"]),
        (labelled(&[], &["keep"]), &["a:1"]),
        (
            Filters {
                until: Some(2),
                ..ALL
            },
            &["b:1"],
        ),
        (
            Filters {
                until: Some(1),
                ..ALL
            },
            &["a:1", "b:1"],
        ),
    ];
    for (filters, left) in cases {
        let engine = engine();
        let store = &engine.store;
        store.at(1500);
        store.named(
            "docker.io/library/a:1",
            &Recipe {
                layers: &["1"],
                labels: &[("keep", "")],
                ..PLAIN
            },
        );
        store.at(2500);
        store.named("docker.io/library/b:1", &with_layers(&["2"]));
        prune(&engine, filters.clone());
        let left: Vec<_> = left
            .iter()
            .map(|name| format!("docker.io/library/{name}"))
            .collect();
        assert_eq!(store.names_of("images"), left, "{filters:?}");
        assert_eq!(store.len(), left.len() * 3, "{filters:?}");
    }
    let engine = engine();
    let bad = Filters {
        references: vec!["a".to_owned()],
        ..default()
    };
    let error = block_on(engine.prune(&bad)).unwrap_err();
    assert_eq!(
        error,
        Error::InvalidArgument("invalid filter 'reference'".to_owned())
    );
}

#[test]
fn one_prune_at_a_time() {
    let engine = engine();
    let store = &engine.store;
    let lease = block_on(store.acquire_lease()).unwrap();
    assert!(block_on(lease.lock("prune")).unwrap());
    let error = block_on(engine.prune(&ALL)).unwrap_err();
    assert_eq!(
        error,
        Error::Conflict("a prune operation is already running".to_owned())
    );
    drop(lease);
    prune(&engine, ALL);
    prune(&engine, ALL);
}

#[test]
fn prune_reports_a_shared_manifest_once_and_keeps_unreadable_ones() {
    let engine = engine();
    let store = &engine.store;
    let inner = store.image(&PLAIN);
    let one = store.index(&[entry(&inner, "linux/amd64")]);
    let two = store.index(&[entry(&inner, "linux/amd64"), entry(&inner, "linux/386")]);
    store.name("images", "docker.io/library/one:1", &one, &[]);
    store.name("images", "docker.io/library/two:1", &two, &[]);
    let broken = Target {
        digest: store.insert("not json"),
        ..inner.clone()
    };
    store.name("images", "docker.io/library/broken:1", &broken, &[]);
    store.container("c1", &broken, "broken:1", false);
    let pruned = prune(&engine, ALL);
    let count = pruned
        .removals
        .iter()
        .filter(|it| **it == deleted(&inner))
        .count();
    assert_eq!(count, 1, "{:?}", pruned.removals);
    assert!(store.has(&broken.digest));
    assert_eq!(store.len(), 2, "the broken one and the container's record");
}
