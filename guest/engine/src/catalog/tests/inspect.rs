use super::*;

#[test]
fn inspect_shows_every_name_and_source() {
    let engine = engine();
    let store = &engine.store;
    let target = store.image(&PLAIN);
    let by_digest = format!("docker.io/library/alpine@{}", target.digest);
    store.at(5_250);
    store.name(
        "images",
        "docker.io/library/alpine:3",
        &target,
        &[("source.docker.io", "library/alpine,other/alpine")],
    );
    store.name(
        "images",
        &by_digest,
        &target,
        &[("source.ghcr.io", "a/b"), ("x", "y")],
    );
    store.name(
        "images",
        "quay.io/a/b:1",
        &target,
        &[("source.docker.io", "library/alpine")],
    );
    let details = block_on(engine.inspect("alpine:3", &InspectOptions::default())).unwrap();
    let familiar = format!("alpine@{}", target.digest);
    assert_eq!(details.tags, ["alpine:3", &familiar, "quay.io/a/b:1"]);
    assert_eq!(
        details.digests,
        [familiar, format!("quay.io/a/b@{}", target.digest)]
    );
    assert_eq!(details.last_tagged, Some((5, 250_000_000)));
    let sources = [
        "docker.io/library/alpine",
        "docker.io/other/alpine",
        "ghcr.io/a/b",
    ];
    assert_eq!(details.sources, sources);
    assert_eq!(details.config.unwrap().architecture, "amd64");
    let manifests = InspectOptions {
        manifests: true,
        ..InspectOptions::default()
    };
    let details = block_on(engine.inspect("alpine:3", &manifests)).unwrap();
    assert_eq!(details.manifests[0].content_size, details.size);
}

/// An index of two platforms that are here, one that is not, an attestation and a
/// nested index.
fn index(store: &Memory) -> (Target, [Target; 4]) {
    let amd64 = store.image(&Recipe {
        layers: &["base", "amd64"],
        labels: &[("on", "amd64")],
        ..PLAIN
    });
    let arm64 = store.image(&Recipe {
        platform: "linux/arm64",
        layers: &["base", "arm64"],
        ..PLAIN
    });
    let absent = Target {
        media_type: media_type::OCI_MANIFEST.to_owned(),
        digest: Digest::sha256(b"absent"),
        size: 6,
    };
    let statement = store.insert("statement");
    let config = store.document(media_type::OCI_CONFIG, &json!({}));
    let about = store.document(
        media_type::OCI_MANIFEST,
        &json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": pointer(&config),
            "layers": [{"mediaType": media_type::IN_TOTO, "digest": statement, "size": 9}],
        }),
    );
    let inner = store.index(&[entry(&arm64, "linux/arm64")]);
    let outer = store.index(&[
        entry(&absent, "linux/riscv64"),
        pointer(&inner),
        entry(&amd64, "linux/amd64"),
        attestation(&about, &amd64),
    ]);
    store.name("images", "docker.io/library/multi:latest", &outer, &[]);
    (outer, [amd64, arm64, absent, about])
}

#[test]
fn an_index_shows_all_its_manifests_and_counts_blobs_once() {
    let engine = engine();
    let (target, [amd64, arm64, absent, about]) = index(&engine.store);
    let summaries = list(&engine, Filters::default());
    let [summary] = &summaries[..] else { panic!() };
    let all: u64 = block_on(crate::Store::blobs(&engine.store))
        .unwrap()
        .iter()
        .map(|(_, size)| size)
        .sum();
    assert_eq!(summary.size, all);
    assert_eq!(label(&engine, summary, "on").as_deref(), Some("amd64"));
    let digests: Vec<_> = summary
        .manifests
        .iter()
        .map(|it| &it.descriptor.digest)
        .collect();
    assert_eq!(
        digests,
        [&absent.digest, &arm64.digest, &amd64.digest, &about.digest]
    );
    let available: Vec<_> = summary.manifests.iter().map(|it| it.available).collect();
    assert_eq!(available, [false, true, true, true]);
    assert_eq!(summary.manifests[0].content_size, 0);
    assert!(
        matches!(&summary.manifests[0].kind, ManifestKind::Image { platform, .. } if platform.architecture == "riscv64")
    );
    assert!(
        matches!(&summary.manifests[3].kind, ManifestKind::Attestation { subject } if *subject == amd64.digest)
    );
    let on = |text: &str| InspectOptions {
        platform: Some(platform(text)),
        ..InspectOptions::default()
    };
    let details = block_on(engine.inspect("multi", &on("linux/arm64"))).unwrap();
    assert_eq!(details.target.digest, arm64.digest);
    assert_eq!(details.config.unwrap().architecture, "arm64");
    let details = block_on(engine.inspect("multi", &InspectOptions::default())).unwrap();
    assert_eq!(details.target.digest, target.digest);
    assert_eq!(details.config.unwrap().architecture, "amd64");
    for platform in ["linux/riscv64", "windows/amd64"] {
        let error = block_on(engine.inspect("multi", &on(platform))).unwrap_err();
        let text = format!(
            "image with reference multi:latest was found but does not provide the specified platform ({platform})"
        );
        assert_eq!(error, Error::NotFound(text));
    }
}

#[test]
fn an_image_without_local_platform_is_listed_bare() {
    let engine = engine();
    let store = &engine.store;
    let absent = Target {
        media_type: media_type::OCI_MANIFEST.into(),
        digest: Digest::sha256(b"x"),
        size: 1,
    };
    let target = store.index(&[entry(&absent, "linux/amd64")]);
    store.name("images", "docker.io/library/far:latest", &target, &[]);
    let summaries = list(&engine, Filters::default());
    let [summary] = &summaries[..] else { panic!() };
    assert_eq!(summary.tags, ["far:latest"]);
    assert_eq!(summary.digests, [target.digest.to_string()]);
    assert_eq!(
        (summary.created, summary.labels.clone(), summary.containers),
        (0, Listed::None, None)
    );
    assert_eq!(summary.size, target.size);
    let details = block_on(engine.inspect("far", &InspectOptions::default())).unwrap();
    assert!(details.config.is_none());
    assert!(block_on(engine.history("far", None)).is_err());
}
