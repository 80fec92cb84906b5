//! Labels, names and documents by the hundred thousand.

use super::*;
use crate::catalog::fixture::Recipe;

/// An image with so many labels.
fn labelled(store: &Memory, name: &str, count: usize) -> Target {
    let keys: Vec<String> = (0..count).map(|n| format!("{name}-{n:x}")).collect();
    let value = "v".repeat(20);
    let labels: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, &*value)).collect();
    let layers = &[name][..];
    let recipe = Recipe {
        labels: &labels,
        layers,
        ..PLAIN
    };
    store.named(&format!("docker.io/library/{name}:1"), &recipe)
}

#[test]
fn heavy_labels_are_not_kept_and_still_shown_filtered_and_removed() {
    let engine = engine();
    let store = &engine.store;
    let images: Vec<Target> = (0..4)
        .map(|n| labelled(store, &format!("i{n}"), 4_000))
        .collect();
    for _ in 0..2 {
        for image in &list(&engine, Filters::default()) {
            assert!(matches!(image.labels, Listed::InConfig(_)));
            let name = image.tags[0].trim_end_matches(":1");
            let labels = block_on(engine.labels(image)).unwrap().unwrap();
            assert_eq!(labels.len(), 4_000);
            assert_eq!(labels.get(&format!("{name}-f9f")), Some(&*"v".repeat(20)));
        }
    }
    let kept = engine.catalog.essentials.borrow().weight()
        + engine.catalog.configs.borrow().weight()
        + engine.catalog.documents.borrow().weight();
    assert!(kept < 64 << 10, "{kept} bytes are kept");
    let filters = Filters {
        labels: strings(&["i2-ff"]),
        without_labels: strings(&["i3-0"]),
        ..Filters::default()
    };
    assert_eq!(tags(&engine, filters.clone()), [["i2:1"]]);
    let filters = Filters {
        dangling: Some(false),
        ..filters
    };
    let pruned = block_on(engine.prune(&filters)).unwrap();
    assert_eq!(pruned.removals.len(), 2, "{:?}", pruned.removals);
    assert!(!store.has(&images[2].digest) && store.has(&images[3].digest));
    let removed = block_on(engine.remove("i3:1", &Default::default())).unwrap();
    assert_eq!(removed.len(), 2);
}

#[test]
fn a_listing_holds_few_labels_however_many_images_there_are() {
    let engine = engine();
    for n in 0..20 {
        labelled(&engine.store, &format!("i{n}"), 300);
    }
    let images = list(&engine, Filters::default());
    let here = images
        .iter()
        .filter(|it| matches!(it.labels, Listed::Here(_)));
    assert_eq!(here.count(), 20);
    // As if each image had a thousand times as many.
    let mut taken = 0;
    let light: Vec<_> = images
        .into_iter()
        .map(|image| {
            taken += 1 << 20;
            crate::catalog::list::light(image, &mut taken)
        })
        .collect();
    let here = light
        .iter()
        .filter(|it| matches!(it.labels, Listed::Here(_)));
    assert_eq!(here.count(), 15);
}

#[test]
fn many_names_of_one_image_are_one_piece_of_work() {
    let engine = engine();
    let store = &engine.store;
    let target = store.image(&PLAIN);
    for n in 0..5_000 {
        store.name("images", &format!("docker.io/x/y:{n}"), &target, &[]);
    }
    store.calls();
    let images = list(&engine, Filters::default());
    assert_eq!(images[0].tags.len(), 5_000);
    assert_eq!(store.count("get"), 2, "one manifest, one config");
    let id = target.digest.as_str();
    let options = crate::RemoveOptions {
        force: true,
        ..Default::default()
    };
    let removals = block_on(engine.remove(id, &options)).unwrap();
    assert_eq!(removals.len(), 5_001);
    assert!(!store.has(&target.digest));
}

#[test]
fn annotations_by_the_mib_are_not_kept() {
    let engine = engine();
    let store = &engine.store;
    let config = store.document(media_type::OCI_CONFIG, &json!({"os": "linux"}));
    let mut entries = Vec::new();
    for n in 0..8 {
        let annotations: serde_json::Map<_, _> = (0..10_000)
            .map(|k| (format!("{n}-{k:x}"), json!("")))
            .collect();
        let manifest = store.document(
            media_type::OCI_MANIFEST,
            &json!({"schemaVersion": 2, "config": pointer(&config), "layers": [], "annotations": annotations}),
        );
        entries.push(entry(&manifest, "linux/amd64"));
    }
    let index = store.index(&entries);
    store.name("images", "docker.io/library/a:1", &index, &[]);
    assert_eq!(list(&engine, Filters::default())[0].manifests.len(), 8);
    let kept = engine.catalog.documents.borrow().weight();
    assert!(kept < 32 << 10, "{kept} bytes are kept");
}

#[test]
fn an_image_of_too_many_manifests_is_listed_and_removed() {
    let engine = engine();
    let store = &engine.store;
    let config = store.document(media_type::OCI_CONFIG, &json!({"os": "linux"}));
    let manifest = json!({"schemaVersion": 2, "config": pointer(&config), "layers": []});
    let manifest = store.document(media_type::OCI_MANIFEST, &manifest);
    let long = "x".repeat(1000);
    let entries = (0..20).map(|n| {
        let mut entry = pointer(&manifest);
        entry["artifactType"] = json!(format!("{n}{long}"));
        pointer(&store.index(&vec![entry; 3000]))
    });
    let index = store.index(&entries.collect::<Vec<_>>());
    store.name("images", "docker.io/library/a:1", &index, &[]);
    store.named("docker.io/library/b:1", &PLAIN);
    let images = list(&engine, Filters::default());
    let [b, a] = &images[..] else { panic!() };
    assert_eq!((&b.tags[..], &b.damaged), (&strings(&["b:1"])[..], &None));
    let reason = a.damaged.as_deref().unwrap();
    assert!(
        reason.ends_with("take more than 64 MiB of memory, the limit"),
        "{reason}"
    );
    let error = block_on(engine.history("a:1", None)).unwrap_err();
    assert!(error.to_string().contains(reason), "{error}");
    // Marking needs no more memory for it than for any other.
    assert_eq!(
        block_on(engine.prune(&Filters::default()))
            .unwrap()
            .removals,
        []
    );
    assert!(store.has(&config.digest));
    block_on(engine.remove("a:1", &Default::default())).unwrap();
    block_on(engine.prune(&Filters::default())).unwrap();
    assert!(!store.has(&config.digest) && !store.has(&index.digest));
}

#[test]
fn filters_are_bounded_whoever_asks() {
    let engine = engine();
    engine.store.named("docker.io/library/a:1", &PLAIN);
    let many = |count: usize, star: &str| (0..count).map(|n| format!("{n}{star}")).collect();
    let list = |filters: Filters| {
        let options = ListOptions {
            filters,
            ..ListOptions::default()
        };
        block_on(engine.list(&options)).map(|images| images.len())
    };
    let references = |count, star| Filters {
        references: many(count, star),
        ..Filters::default()
    };
    let labels = |count| Filters {
        labels: many(count, ""),
        ..Filters::default()
    };
    let without = |count| Filters {
        without_labels: many(count, ""),
        ..Filters::default()
    };
    let over = |text: &str| Err(Error::QuotaExceeded(text.to_owned()));
    for (filters, expected) in [
        (references(1024, ""), Ok(0)),
        (
            references(1025, ""),
            over("filter 'reference' has 1025 values, the limit is 1024"),
        ),
        (references(64, "*"), Ok(0)),
        (
            references(65, "*"),
            over("filter 'reference' has 65 patterns, the limit is 64"),
        ),
        (labels(1024), Ok(0)),
        (
            labels(1025),
            over("filter 'label' has 1025 values, the limit is 1024"),
        ),
        (without(1024), Ok(1)),
        (
            without(1025),
            over("filter 'label!' has 1025 values, the limit is 1024"),
        ),
        (
            references(1, &"*".repeat(512)),
            over("invalid filter 'reference': pattern has 513 bytes, the limit is 512"),
        ),
    ] {
        assert_eq!(list(filters), expected);
    }
}

#[test]
fn manifests_of_many_heavy_images_are_not_held_at_once() {
    let engine = engine();
    let store = &engine.store;
    let images = 24;
    let image = store.image(&PLAIN);
    for n in 0..images {
        let child = entry(&image, &format!("linux/v{n}"));
        let index = store.index(&vec![child; 4000]);
        store.name("images", &format!("docker.io/library/a:{n}"), &index, &[]);
    }
    let listed = list(&engine, Filters::default());
    assert_eq!(listed.len(), images);
    let (later, here): (Vec<_>, Vec<_>) = listed.iter().partition(|image| image.manifests_later);
    assert!(
        here.len() >= 8 && later.len() >= 8,
        "{} {}",
        here.len(),
        later.len()
    );
    assert!(here.iter().all(|image| image.manifests.len() == 4000));
    for image in later {
        assert_eq!(image.manifests.len(), 0);
        let manifests = block_on(engine.manifests(image)).unwrap();
        assert_eq!(manifests.len(), 4000);
    }
}

#[test]
fn entries_of_an_index_keep_little_but_what_attestations_are_about() {
    let engine = engine();
    let store = &engine.store;
    let image = store.image(&PLAIN);
    let proof = store.image(&Recipe {
        layers: &["proof"],
        ..PLAIN
    });
    let mut heavy = entry(&image, "linux/amd64");
    heavy["annotations"] = json!({"heavy": "x".repeat(3 << 20)});
    heavy["urls"] = json!(["x".repeat(1000)]);
    let index = store.index(&[heavy, attestation(&proof, &image)]);
    store.name("images", "docker.io/library/a:1", &index, &[]);
    let listed = list(&engine, Filters::default());
    let [shown, about] = &listed[0].manifests[..] else {
        panic!("{listed:?}");
    };
    assert!(shown.descriptor.annotations.is_empty() && shown.descriptor.urls.is_empty());
    assert!(
        matches!(&about.kind, ManifestKind::Attestation { subject } if *subject == image.digest)
    );
    let kept = engine.catalog.documents.borrow().weight();
    assert!(kept < 32 << 10, "{kept} bytes are kept");
}
