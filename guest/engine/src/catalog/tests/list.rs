use super::*;

#[test]
fn list_has_one_entry_per_target_newest_first() {
    let (engine, [old, middle, new, dangling]) = gallery();
    let summaries = list(&engine, Filters::default());
    let ids: Vec<_> = summaries.iter().map(|it| &it.target.digest).collect();
    assert_eq!(
        ids,
        [&dangling.digest, &new.digest, &middle.digest, &old.digest]
    );
    assert_eq!(block_on(engine.image_count()).unwrap(), 4);
    let [dangling, _, middle, _] = &summaries[..] else {
        panic!()
    };
    assert_eq!(dangling.tags, Vec::<String>::new());
    assert_eq!(dangling.digests, Vec::<String>::new());
    let names = ["alpine:3", "alpine:latest", "ghcr.io/org/app:1"];
    assert_eq!(middle.tags, strings(&names));
    assert_eq!(middle.digests, [format!("alpine@{}", middle.target.digest)]);
    assert_eq!(middle.created, 1_609_459_200);
    assert_eq!(middle.containers, Some(0));
    assert_eq!(label(&engine, middle, "a").as_deref(), Some("2"));
    assert_eq!(middle.shared_size, Some("base".len() as u64));
    assert_eq!(middle.manifests.len(), 1);
    assert_eq!(middle.manifests[0].content_size, middle.size);
}

#[test]
fn list_filters() {
    let (engine, [old, middle, ..]) = gallery();
    let all_middle = ["alpine:3", "alpine:latest", "ghcr.io/org/app:1"];
    let none: &[&[&str]] = &[];
    let default = Filters::default;
    let references = |patterns: &[&str]| Filters {
        references: strings(patterns),
        ..default()
    };
    let labels = |labels: &[&str], without: &[&str]| Filters {
        labels: strings(labels),
        without_labels: strings(without),
        ..default()
    };
    let bounds = |before: &[&str], since: &[&str]| Filters {
        before: strings(before),
        since: strings(since),
        ..default()
    };
    let cases: &[(Filters, &[&[&str]])] = &[
        // A reference filter trims the names of an entry, and hides untagged images.
        (references(&["alpine"]), &[&["alpine:3", "alpine:latest"]]),
        (references(&["alpine:3"]), &[&["alpine:3"]]),
        (
            references(&["docker.io/library/alpine"]),
            &[&["alpine:3", "alpine:latest"]],
        ),
        (
            references(&["docker.io/library/alpine:l*"]),
            &[&["alpine:latest"]],
        ),
        (
            references(&["*"]),
            &[&["alpine:3", "alpine:latest"], &["old:1"]],
        ),
        (references(&["*/*"]), &[&["user/new:latest"]]),
        (references(&["nosuch", "old:?"]), &[&["old:1"]]),
        (references(&["["]), none),
        (labels(&["a"], &[]), &[&all_middle, &["old:1"]]),
        (labels(&["a=1"], &[]), &[&["old:1"]]),
        // Different is also what is not there.
        (
            labels(&["a!=1"], &[]),
            &[&[], &["user/new:latest"], &all_middle],
        ),
        (labels(&["a", "b"], &[]), &[&all_middle]),
        (labels(&["c"], &[]), &[&[]]),
        (labels(&[], &["a"]), &[&[], &["user/new:latest"]]),
        (labels(&["a"], &["b"]), &[&["old:1"]]),
        (bounds(&["alpine:3"], &[]), &[&["old:1"]]),
        (
            bounds(&["user/new", "ghcr.io/org/app:1"], &[]),
            &[&["old:1"]],
        ),
        (
            bounds(&[], &["old:1", "alpine"]),
            &[&[], &["user/new:latest"]],
        ),
        (
            bounds(&["user/new"], &[&old.digest.as_str()[..15]]),
            &[&all_middle],
        ),
        (
            bounds(&[], &[middle.digest.as_str()]),
            &[&[], &["user/new:latest"]],
        ),
        (
            Filters {
                until: Some(2000),
                ..default()
            },
            &[&["old:1"]],
        ),
        (
            Filters {
                until: Some(2001),
                ..default()
            },
            &[&all_middle, &["old:1"]],
        ),
        (
            Filters {
                dangling: Some(true),
                ..default()
            },
            &[&[]],
        ),
        (
            Filters {
                dangling: Some(false),
                ..default()
            },
            &[&["user/new:latest"], &all_middle, &["old:1"]],
        ),
    ];
    for (filters, expected) in cases {
        let expected: Vec<_> = expected.iter().map(|tags| strings(tags)).collect();
        assert_eq!(tags(&engine, filters.clone()), expected, "{filters:?}");
    }
    let missing = ListOptions {
        filters: bounds(&["nosuch"], &[]),
        ..ListOptions::default()
    };
    let error = block_on(engine.list(&missing)).unwrap_err();
    assert_eq!(
        error,
        Error::NotFound("No such image: nosuch:latest".into())
    );
}

#[test]
fn broken_documents_are_listed_as_what_they_are() {
    let engine = engine();
    let store = &engine.store;
    for (name, content) in [
        ("a", "not json"),
        ("b", "{}"),
        ("c", r#"{"schemaVersion":2,"layers":[]}"#),
    ] {
        let target = Target {
            media_type: media_type::OCI_MANIFEST.into(),
            digest: store.insert(content),
            size: 0,
        };
        store.name(
            "images",
            &format!("docker.io/library/{name}:1"),
            &target,
            &[],
        );
    }
    let lost = Target {
        media_type: media_type::OCI_INDEX.into(),
        digest: Digest::sha256(b"lost"),
        size: 4,
    };
    store.name("images", "docker.io/library/d:1", &lost, &[]);
    assert_eq!(list(&engine, Filters::default()).len(), 4);
}

#[test]
fn warm_reads_ask_for_the_generation_only() {
    let (engine, _) = gallery();
    let store = &engine.store;
    list(&engine, Filters::default());
    store.calls();
    list(&engine, Filters::default());
    assert_eq!(store.calls(), ["generation"]);
    block_on(engine.inspect("alpine", &InspectOptions::default())).unwrap();
    assert_eq!(store.calls(), ["generation"]);
    // Another name: presence is asked again, content is not read again.
    store.name(
        "images",
        "docker.io/library/more:1",
        &store.image(&PLAIN),
        &[],
    );
    list(&engine, Filters::default());
    assert_eq!(store.count("get"), 2);
}

#[test]
fn content_that_comes_is_seen_and_content_that_goes_too() {
    let engine = engine();
    let store = &engine.store;
    let target = store.named("docker.io/library/x:1", &PLAIN);
    let layer = Memory::layer("layer");
    store.lose(&layer);
    let available = || list(&engine, Filters::default())[0].manifests[0].available;
    assert!(!available());
    let generation = store.now();
    store.insert("layer");
    assert_eq!(store.now(), generation);
    assert!(available());
    store.lose(&layer);
    assert!(!available());
    store.lose(&target.digest);
    assert_eq!(list(&engine, Filters::default())[0].labels, Listed::None);
}

/// Forty images of two platforms each.
fn many() -> TestEngine {
    let engine = engine();
    for number in 0..40 {
        let platforms = ["linux/amd64", "linux/arm64"].map(|text| {
            let layer = format!("{number} {text}");
            let image = engine.store.image(&Recipe {
                platform: text,
                layers: &["base", &layer],
                labels: &[("number", &number.to_string())],
                ..PLAIN
            });
            entry(&image, text)
        });
        let index = engine.store.index(&platforms);
        let name = format!("docker.io/library/many:{number}");
        engine.store.name("images", &name, &index, &[]);
    }
    engine
}

fn told(engine: &TestEngine) -> String {
    let images = list(engine, Filters::default()).into_iter();
    let told = images.map(|image| {
        let number = label(engine, &image, "number");
        format!(
            "{:?} {number:?} {:?}\n",
            image.target.digest, image.manifests
        )
    });
    told.collect()
}

#[test]
fn what_one_instance_has_read_the_next_is_told() {
    let first = many();
    let before = told(&first);
    assert_eq!(first.store.count("get"), 40 + 2 * 80);
    let next = engine_of(first.store.clone());
    assert_eq!(told(&next), before);
    assert_eq!(next.store.count("get"), 0);
    // Who decides what is removed reads.
    let roots = block_on(next.snapshot()).unwrap().roots.clone();
    block_on(next.documents(&roots)).unwrap();
    assert_eq!(next.store.count("get"), 40 + 80);
}

#[test]
fn of_what_has_changed_nothing_is_believed() {
    for part in ["manifest", "config"] {
        let first = many();
        told(&first);
        let images = list(&first, Filters::default());
        let shown = images[7].manifests[0].descriptor.digest.clone();
        let changed = match part {
            "manifest" => shown,
            _ => images[7].config.clone().unwrap(),
        };
        first.store.damage(&changed);
        let next = engine_of(first.store.clone());
        let images = list(&next, Filters::default());
        let damaged: Vec<_> = images.iter().filter(|it| it.damaged.is_some()).collect();
        let [one] = &damaged[..] else {
            panic!("{part}: {} are damaged", damaged.len())
        };
        let reason = one.damaged.as_deref().unwrap_or_default();
        assert!(reason.contains(changed.as_str()), "{part}: {reason}");
    }
}
