//! What of an image goes out: indexes, platforms, attestations, what is missing.

use futures::FutureExt as _;
use serde_json::json;
use strata_oci::{Digest, media_type};

use super::super::testing::{Bench, layer, options, platform};
use crate::{
    Error, Filters, PushOptions, Target,
    catalog::fixture::{TestEngine, attestation, engine, entry, pointer},
};

/// An index for two platforms, with an attestation of the first, as `app:1`.
struct Multi {
    bench: Bench,
    index: Target,
    amd64: Target,
    arm64: Target,
    attestation: Target,
}

fn multi() -> Multi {
    let bench = Bench::new();
    let amd64 = bench.unnamed("amd64", &[layer(1, 300), layer(2, 300)]);
    let arm64 = bench.unnamed("arm64", &[layer(1, 300), layer(3, 300)]);
    let proof = bench.unnamed("unknown", &[layer(4, 300)]);
    let index = bench.store.index(&[
        entry(&amd64, "linux/amd64"),
        entry(&arm64, "linux/arm64"),
        attestation(&proof, &amd64),
    ]);
    bench.store.name("images", "r.example/app:1", &index, &[]);
    Multi {
        bench,
        index,
        amd64,
        arm64,
        attestation: proof,
    }
}

fn for_platform(text: &str) -> PushOptions {
    PushOptions {
        platform: Some(platform(text)),
        ..options("r.example/app:1")
    }
}

/// The manifests put, by name in the repository.
fn put(bench: &Bench) -> Vec<String> {
    let asked = bench.asked();
    let put = asked
        .iter()
        .filter_map(|line| line.strip_prefix("PUT app/manifests/"));
    put.map(str::to_owned).collect()
}

fn short(digests: &[&Digest]) -> Vec<String> {
    digests
        .iter()
        .map(|digest| digest.short().to_owned())
        .collect()
}

#[test]
fn an_index_goes_with_all_its_manifests_and_after_them() {
    let it = multi();
    let done = it.bench.push("r.example/app:1").unwrap();
    assert_eq!(done[0].digest, it.index.digest);
    // The registry refuses a manifest whose blobs, and an index whose manifests, it
    // does not have: so the order was right.
    assert_eq!(
        it.bench.registry.borrow().tagged("app", "1"),
        Some(it.index.digest)
    );
    let log = it.bench.web.log.borrow();
    let first_put = log
        .iter()
        .position(|asked| asked.is("PUT", "/manifests/"))
        .unwrap();
    let last_blob = log
        .iter()
        .rposition(|asked| asked.is("PUT", "/blobs/"))
        .unwrap();
    assert!(last_blob < first_put);
    drop(log);
    let mut put = put(&it.bench);
    assert_eq!(put.pop().unwrap(), "1");
    put.sort();
    let mut expected = short(&[&it.amd64.digest, &it.arm64.digest, &it.attestation.digest]);
    expected.sort();
    assert_eq!(put, expected);
    let brief = it.bench.events.brief();
    let queued = brief.iter().filter(|event| event.starts_with("Queued"));
    assert_eq!(
        queued.count(),
        3,
        "each layer once, no attestation: {brief:?}"
    );
}

#[test]
fn children_the_registry_has_are_not_sent_again() {
    let it = multi();
    it.bench.push_with(&for_platform("linux/arm64")).unwrap();
    assert_eq!(put(&it.bench), ["1"]);
    it.bench.push("r.example/app:1").unwrap();
    let put = put(&it.bench);
    assert!(
        !put.contains(&it.arm64.digest.short().to_owned()),
        "{put:?}"
    );
    assert_eq!(put.len(), 3);
}

#[test]
fn nested_indexes_go_out_from_the_inside() {
    let bench = Bench::new();
    let image = bench.unnamed("amd64", &[layer(1, 300)]);
    let mut index = bench.store.index(&[entry(&image, "linux/amd64")]);
    for depth in 1..5 {
        bench.store.name("images", "r.example/app:1", &index, &[]);
        bench.push("r.example/app:1").unwrap();
        let tagged = bench.registry.borrow().tagged("app", "1");
        assert_eq!(tagged.as_ref(), Some(&index.digest), "{depth}");
        index = bench.store.index(&[pointer(&index)]);
    }
    bench.store.name("images", "r.example/app:1", &index, &[]);
    let error = bench.push("r.example/app:1").unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(_)), "{error:?}");
}

#[test]
fn one_platform_is_pushed_under_the_tag_and_matched_exactly() {
    let it = multi();
    let done = it.bench.push_with(&for_platform("linux/arm64")).unwrap();
    assert_eq!(done[0].digest, it.arm64.digest);
    assert_eq!(done[0].size, it.arm64.size);
    let tagged = it.bench.registry.borrow().tagged("app", "1");
    assert_eq!(tagged, Some(it.arm64.digest.clone()));
    assert_eq!(put(&it.bench), ["1"]);
    it.bench.events.brief();
    for wanted in ["linux/arm/v7", "linux/amd64/v2", "windows/amd64"] {
        let error = it.bench.push_with(&for_platform(wanted)).unwrap_err();
        let Error::NotFound(text) = error else {
            panic!("{error:?}")
        };
        assert_eq!(
            text,
            format!(
                "image with reference r.example/app:1 was found but does not provide the specified platform ({wanted})"
            )
        );
    }
    // A single manifest is matched by its config.
    it.bench.image("r.example/app:2", "amd64", &[layer(1, 300)]);
    let mut options = for_platform("linux/amd64");
    options.reference = options.reference.with_tag("2").unwrap();
    it.bench.push_with(&options).unwrap();
    options.platform = Some(platform("linux/arm64"));
    it.bench.push_with(&options).unwrap_err();
}

#[test]
fn two_manifests_for_one_platform_are_a_conflict() {
    let it = multi();
    let twice = [
        entry(&it.amd64, "linux/arm64"),
        entry(&it.arm64, "linux/arm64"),
    ];
    let index = it.bench.store.index(&twice);
    it.bench
        .store
        .name("images", "r.example/app:1", &index, &[]);
    let error = it
        .bench
        .push_with(&for_platform("linux/arm64"))
        .unwrap_err();
    let text = "multiple manifests found for platform linux/arm64";
    assert_eq!(error, Error::Conflict(text.to_owned()));
}

#[test]
fn of_an_index_that_is_not_all_here_the_one_platform_that_is_goes_out() {
    let it = multi();
    it.bench.store.lose(&it.amd64.digest);
    it.bench.store.lose(&it.attestation.digest);
    let done = it.bench.push("r.example/app:1").unwrap();
    assert_eq!(done[0].digest, it.arm64.digest);
    assert_eq!(put(&it.bench), ["1"]);
    let brief = it.bench.events.brief();
    assert_eq!(
        brief[..3],
        [
            "resolved r.example/app:1".to_owned(),
            format!("Unavailable {}", it.amd64.digest.short()),
            format!("Unavailable {}", it.attestation.digest.short()),
        ]
    );
    assert_eq!(
        brief[brief.len() - 2..],
        [
            format!(
                "warning {} for {}",
                it.arm64.digest.short(),
                it.index.digest.short()
            ),
            "completed r.example/app:1 true".to_owned(),
        ]
    );
}

#[test]
fn an_index_the_registry_has_whole_is_never_replaced_by_a_part_of_it() {
    let it = multi();
    it.bench.push("r.example/app:1").unwrap();
    it.bench.asked();
    it.bench.store.lose(&it.amd64.digest);
    let done = it.bench.push("r.example/app:1").unwrap();
    assert_eq!(
        (&done[0].digest, done[0].changed),
        (&it.index.digest, false)
    );
    assert_eq!(it.bench.asked(), ["HEAD app/manifests/1"]);
}

#[test]
fn of_several_that_are_here_the_one_for_the_host_goes_out() {
    for (host, expected) in [
        ("linux/amd64", Some("linux/amd64")),
        ("linux/arm64", Some("linux/arm64")),
        ("linux/s390x", None),
    ] {
        let mut it = multi();
        let third = it.bench.unnamed("riscv64", &[layer(7, 300)]);
        let index = it.bench.store.index(&[
            entry(&it.amd64, "linux/amd64"),
            entry(&it.arm64, "linux/arm64"),
            entry(&third, "linux/riscv64"),
        ]);
        it.bench
            .store
            .name("images", "r.example/app:1", &index, &[]);
        it.bench.store.lose(&Digest::sha256(&layer(7, 300)));
        it.bench.engine.settings.platform = platform(host);
        let result = it.bench.push("r.example/app:1");
        match expected {
            Some("linux/amd64") => assert_eq!(result.unwrap()[0].digest, it.amd64.digest),
            Some(_) => assert_eq!(result.unwrap()[0].digest, it.arm64.digest),
            None => assert_eq!(
                result.unwrap_err(),
                Error::Conflict(
                    "multiple matching manifests found but no specific platform requested"
                        .to_owned()
                )
            ),
        }
    }
}

#[test]
fn missing_content_is_named_and_nothing_is_tagged() {
    // A layer of a single manifest, its config, the manifest itself.
    let lost: [fn(&Target) -> Digest; 2] = [
        |_| Digest::sha256(&layer(1, 300)),
        |target| target.digest.clone(),
    ];
    for lost in lost {
        let bench = Bench::new();
        let target = bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
        let lost = lost(&target);
        bench.store.lose(&lost);
        let error = bench.push("r.example/app:1").unwrap_err();
        assert!(
            matches!(&error, Error::NotFound(text) if text.contains(lost.as_str())),
            "{error:?}"
        );
        assert!(bench.registry.borrow().manifests.is_empty());
    }
    // An index without one complete platform.
    let it = multi();
    it.bench.store.lose(&Digest::sha256(&layer(1, 300)));
    let error = it.bench.push("r.example/app:1").unwrap_err();
    let text = "image with reference r.example/app:1 was found but does not provide any platform";
    assert_eq!(error, Error::NotFound(text.to_owned()));
    // Something that is no image at all.
    let it = multi();
    let odd = it
        .bench
        .store
        .document("application/json", &json!({ "a": 1 }));
    it.bench.store.name("images", "r.example/app:1", &odd, &[]);
    let error = it.bench.push("r.example/app:1").unwrap_err();
    assert!(matches!(error, Error::ManifestInvalid(_)), "{error:?}");
}

#[test]
fn foreign_layers_that_are_not_here_are_left_to_their_addresses() {
    let bench = Bench::new();
    let config = bench.store.document(
        media_type::OCI_CONFIG,
        &json!({ "architecture": "amd64", "os": "windows" }),
    );
    let foreign = Digest::sha256(b"elsewhere");
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": pointer(&config),
        "layers": [{
            "mediaType": media_type::OCI_FOREIGN_LAYER,
            "digest": foreign,
            "size": 9,
            "urls": ["https://elsewhere.example/l"],
        }],
    });
    let target = bench.store.document(media_type::OCI_MANIFEST, &manifest);
    bench.store.name("images", "r.example/app:1", &target, &[]);
    bench.push("r.example/app:1").unwrap();
    let brief = bench.events.brief();
    assert!(
        brief.contains(&format!("Unavailable {}", foreign.short())),
        "{brief:?}"
    );
    let asked = bench.asked();
    assert!(
        asked.iter().all(|line| !line.contains(foreign.short())),
        "{asked:?}"
    );
}

#[test]
fn a_manifest_keeps_its_media_type_and_bytes() {
    let bench = Bench::new();
    let plain = bench.unnamed("amd64", &[layer(1, 300)]);
    let generic = Target {
        media_type: "application/octet-stream".to_owned(),
        ..plain.clone()
    };
    bench.store.name("images", "r.example/app:1", &generic, &[]);
    bench.push("r.example/app:1").unwrap();
    let registry = bench.registry.borrow();
    let (media_type, bytes) = &registry.manifests[&("app".to_owned(), "1".to_owned())];
    assert_eq!(
        media_type,
        media_type::OCI_MANIFEST,
        "the name's type says nothing"
    );
    assert!(plain.digest.verifies(bytes));
}

#[test]
fn a_child_the_registry_lied_about_is_sent_with_its_blobs() {
    let bench = Bench::bent(|registry, asked| match asked.method == "HEAD" {
        true if !asked.is("HEAD", "/manifests/1") => super::super::testing::Reply::status(200),
        _ => registry.answer(asked),
    });
    let image = bench.unnamed("amd64", &[layer(1, 300)]);
    let index = bench.store.index(&[entry(&image, "linux/amd64")]);
    bench.store.name("images", "r.example/app:1", &index, &[]);
    bench.push("r.example/app:1").unwrap();
    assert_eq!(
        bench.registry.borrow().tagged("app", "1"),
        Some(index.digest)
    );
}

#[test]
fn who_pushes_while_the_name_moves_pushes_what_is_there_then() {
    // Before the manifest is looked for, and while it is read.
    for call in ["stat_all", "get"] {
        let bench = Bench::new();
        bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
        let next = bench.unnamed("amd64", &[layer(2, 300)]);
        let other = TestEngine {
            store: bench.store.clone(),
            ..engine()
        };
        let target = next.clone();
        bench.store.before(call, move |store| {
            store.name("images", "r.example/app:1", &target, &[]);
            let pruned = other.prune(&Filters::default()).now_or_never();
            pruned.unwrap().unwrap();
        });
        let done = bench.push("r.example/app:1").unwrap();
        assert_eq!(done[0].digest, next.digest, "{call}");
    }
}
