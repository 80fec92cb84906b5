//! Choosing from indexes: by platform, in containerd's order of preference.

use serde_json::{Value, json};
use strata_oci::media_type;

use super::super::testing::{Bench, Made, Origin, index, layer, options, platform};
use crate::{Error, PullOptions, Result};

fn image(architecture: &str, seed: u8) -> Made {
    Made::new(architecture, &[layer(seed, 50)])
}

fn on(architecture: &str) -> Value {
    json!({ "platform": { "os": "linux", "architecture": architecture } })
}

fn variant(architecture: &str, variant: &str) -> Value {
    json!({ "platform": { "os": "linux", "architecture": architecture, "variant": variant } })
}

/// Offers an index and images, and pulls for a platform. The layers tell which
/// image was chosen.
fn pulled(top: &Made, images: &[&Made], wanted: &str) -> (Bench, Result<()>) {
    let origin = images
        .iter()
        .fold(Origin::default().tagged("1", top), |origin, image| {
            origin.and(image)
        });
    let bench = Bench::with(origin);
    let options = PullOptions {
        platforms: vec![platform(wanted)],
        ..options("r.example/app:1")
    };
    let result = bench.pull_with(&options).map(drop);
    bench.store.check();
    (bench, result)
}

#[test]
fn the_best_match_is_chosen_whatever_its_position() {
    let (i386, amd64, v2) = (image("386", 1), image("amd64", 2), image("amd64", 3));
    let (v8, v7, v6) = (image("arm64", 4), image("arm", 5), image("arm", 6));
    let again = image("amd64", 7);
    let top = index(&[
        i386.entry(on("386")),
        v6.entry(variant("arm", "v6")),
        v7.entry(variant("arm", "v7")),
        v8.entry(on("arm64")),
        amd64.entry(on("amd64")),
        v2.entry(variant("amd64", "v2")),
        again.entry(on("amd64")),
    ]);
    let images = [&i386, &amd64, &v2, &v8, &v7, &v6, &again];
    for (wanted, expected) in [
        ("linux/amd64", &amd64),
        ("linux/amd64/v3", &v2),
        ("linux/386", &i386),
        ("linux/arm64", &v8),
        ("linux/arm64/v8", &v8),
        ("linux/arm/v8", &v7),
        ("linux/arm/v6", &v6),
    ] {
        let (bench, result) = pulled(&top, &images, wanted);
        result.unwrap();
        for image in images {
            let chosen = bench.store.has(&image.layer(0));
            assert_eq!(chosen, image.digest == expected.digest, "{wanted}");
        }
    }
}

#[test]
fn no_match_is_said_as_dockerd_says_it() {
    let amd64 = image("amd64", 1);
    let unknown = json!({ "mediaType": "application/x", "digest": amd64.config_digest, "size": 1, "platform": { "os": "linux", "architecture": "s390x" } });
    let artifact = amd64.entry(json!({ "artifactType": "application/x", "platform": { "os": "linux", "architecture": "s390x" } }));
    for entries in [&[][..], &[amd64.entry(on("amd64")), unknown, artifact]] {
        let (bench, result) = pulled(&index(entries), &[&amd64], "linux/s390x");
        assert_eq!(
            result.unwrap_err(),
            Error::PlatformMismatch(
                "no matching manifest for linux/s390x in the manifest list entries: no match for platform in manifest: not found".to_owned()
            )
        );
        assert!(bench.events.brief().is_empty(), "nothing was announced yet");
    }
}

#[test]
fn entries_without_platform_come_last_and_their_config_decides() {
    let (silent_arm, silent_386, silent_amd64) =
        (image("arm64", 1), image("386", 2), image("amd64", 3));
    let said = image("386", 4);
    let entries = [
        silent_arm.entry(json!({})),
        silent_386.entry(json!({})),
        silent_amd64.entry(json!({ "platform": null })),
    ];
    let images = [&silent_arm, &silent_386, &silent_amd64, &said];
    let (bench, result) = pulled(&index(&entries), &images, "linux/amd64");
    result.unwrap();
    assert!(
        bench.store.has(&silent_amd64.layer(0)),
        "an exact match beats an earlier one"
    );
    assert!(!bench.store.has(&silent_386.layer(0)));

    let mut with_said = entries.to_vec();
    with_said.push(said.entry(on("386")));
    let (bench, result) = pulled(&index(&with_said), &images, "linux/amd64");
    result.unwrap();
    assert!(bench.store.has(&said.layer(0)));
    assert!(!bench.store.has(&silent_amd64.digest));
}

#[test]
fn attestations_come_with_the_image_they_attest() {
    let (amd64, arm64) = (image("amd64", 1), image("arm64", 2));
    let statement = |seed| {
        Made::with_config(
            media_type::OCI_CONFIG,
            &[b'{', b' ', seed, b'}'],
            &[layer(seed, 30)],
        )
    };
    let (ours, theirs) = (statement(b' '), statement(b'\n'));
    let about = |image: &Made| {
        json!({
            "platform": { "os": "unknown", "architecture": "unknown" },
            "annotations": {
                "vnd.docker.reference.type": "attestation-manifest",
                "vnd.docker.reference.digest": image.digest,
            },
        })
    };
    let top = index(&[
        amd64.entry(on("amd64")),
        arm64.entry(on("arm64")),
        ours.entry(about(&amd64)),
        theirs.entry(about(&arm64)),
    ]);
    let (bench, result) = pulled(&top, &[&amd64, &arm64, &ours, &theirs], "linux/amd64");
    result.unwrap();
    for digest in [&ours.digest, &ours.config_digest, &ours.layer(0)] {
        assert!(bench.store.has(digest));
    }
    assert!(!bench.store.has(&theirs.digest));
    let shown = bench.events.brief().join(" ");
    assert!(
        !shown.contains(ours.layer(0).short()),
        "people asked for the image: {shown}"
    );
    bench.asked();
    bench.pull("r.example/app:1").unwrap();
    assert_eq!(bench.asked().len(), 1, "attestations are found here too");
}

#[test]
fn indexes_within_indexes_are_followed_but_not_for_ever() {
    let (amd64, arm64) = (image("amd64", 1), image("arm64", 2));
    let inner = index(&[arm64.entry(on("arm64")), amd64.entry(on("amd64"))]);
    let said = inner.entry(on("amd64"));
    let silent = inner.entry(json!({}));
    for top in [index(&[silent.clone(), silent]), index(&[said])] {
        let (bench, result) = pulled(&top, &[&inner, &amd64, &arm64], "linux/amd64");
        result.unwrap();
        assert!(bench.store.has(&amd64.layer(0)) && !bench.store.has(&arm64.digest));
    }

    let mut chain = vec![inner];
    for _ in 0..6 {
        let last = chain.last().unwrap();
        chain.push(index(&[last.entry(json!({}))]));
    }
    let all: Vec<&Made> = chain.iter().chain([&amd64]).collect();
    let (_, result) = pulled(chain.last().unwrap(), &all, "linux/amd64");
    assert!(matches!(result, Err(Error::ManifestInvalid(text)) if text.contains("nested")));
}

#[test]
fn an_index_of_nothing_but_riddles_is_given_up() {
    let riddles: Vec<Made> = (0..100)
        .map(|number| image(&format!("alien{number}"), number))
        .collect();
    let entries: Vec<Value> = riddles
        .iter()
        .map(|riddle| riddle.entry(json!({})))
        .collect();
    let all: Vec<&Made> = riddles.iter().collect();
    let (bench, result) = pulled(&index(&entries), &all, "linux/amd64");
    assert!(matches!(result, Err(Error::ManifestInvalid(_))));
    assert!(bench.asked().len() < 140);
}

#[test]
fn a_child_that_is_not_what_its_entry_says_is_refused() {
    let amd64 = image("amd64", 1);
    let mut entry = amd64.entry(on("amd64"));
    entry["size"] = (amd64.manifest.len() - 1).into();
    let (_, result) = pulled(&index(&[entry]), &[&amd64], "linux/amd64");
    assert!(
        matches!(&result, Err(Error::ManifestInvalid(text)) if text.contains("failed size validation")),
        "{result:?}"
    );

    let mut entry = amd64.entry(on("amd64"));
    entry["mediaType"] = media_type::DOCKER_MANIFEST.into();
    let (bench, result) = pulled(&index(&[entry]), &[&amd64], "linux/amd64");
    assert!(matches!(result, Err(Error::ManifestInvalid(_))));
    assert!(!bench.store.has(&amd64.digest));
}

#[test]
fn each_of_several_platforms_comes_and_must_be_there() {
    let (amd64, arm64, s390x) = (image("amd64", 1), image("arm64", 2), image("s390x", 3));
    let top = index(&[
        amd64.entry(on("amd64")),
        arm64.entry(on("arm64")),
        s390x.entry(on("s390x")),
    ]);
    let images = [&amd64, &arm64, &s390x];
    let pulled = |wanted: &[&str]| {
        let origin = images
            .iter()
            .fold(Origin::default().tagged("1", &top), |it, image| {
                it.and(image)
            });
        let bench = Bench::with(origin);
        let options = PullOptions {
            platforms: wanted.iter().map(|text| platform(text)).collect(),
            ..options("r.example/app:1")
        };
        let result = bench.pull_with(&options);
        bench.store.check();
        (bench, result)
    };
    let (bench, result) = pulled(&["linux/arm64", "linux/amd64", "linux/arm64"]);
    assert!(result.unwrap()[0].changed);
    for (image, here) in [(&amd64, true), (&arm64, true), (&s390x, false)] {
        assert_eq!(bench.store.has(&image.layer(0)), here);
    }
    let queued = bench.events.brief();
    let queued = queued.iter().filter(|line| line.starts_with("Queued"));
    assert_eq!(queued.count(), 2, "an image asked for twice comes once");

    let (bench, result) = pulled(&["linux/arm64", "linux/386"]);
    assert!(
        matches!(result, Err(Error::PlatformMismatch(text)) if text.contains("for linux/386 "))
    );
    assert!(!bench.store.has(&arm64.layer(0)), "nothing was fetched yet");
}

#[test]
fn all_platforms_are_all_that_the_index_lists() {
    let (amd64, arm64, deep) = (image("amd64", 1), image("arm64", 2), image("s390x", 3));
    let statement = Made::with_config(media_type::OCI_CONFIG, b"{ }", &[layer(4, 30)]);
    let about = json!({
        "platform": { "os": "unknown", "architecture": "unknown" },
        "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": amd64.digest,
        },
    });
    let inner = index(&[deep.entry(on("s390x")), amd64.entry(on("amd64"))]);
    let mut blob = deep.entry(json!({}));
    blob["mediaType"] = "application/x-notes".into();
    blob["digest"] = deep.config_digest.as_str().into();
    blob["size"] = deep.config.len().into();
    let top = index(&[
        amd64.entry(on("amd64")),
        statement.entry(about),
        arm64.entry(on("arm64")),
        inner.entry(json!({})),
        blob,
    ]);
    let all = [&amd64, &arm64, &deep, &statement, &inner];
    let origin = all
        .iter()
        .fold(Origin::default().tagged("1", &top), |it, made| it.and(made));
    let bench = Bench::with(origin);
    let options = PullOptions {
        all_platforms: true,
        ..options("r.example/app:1")
    };
    bench.pull_with(&options).unwrap();
    bench.store.check();
    for made in all {
        assert!(bench.store.has(&made.digest), "{}", made.digest);
    }
    for made in [&amd64, &arm64, &deep, &statement] {
        assert!(bench.store.has(&made.layer(0)) && bench.store.has(&made.config_digest));
    }
    bench.asked();
    assert!(!bench.pull_with(&options).unwrap()[0].changed);
    assert_eq!(bench.asked().len(), 1, "all of it is found here");
}

#[test]
fn an_index_of_too_many_manifests_is_not_followed_for_all_platforms() {
    let images: Vec<Made> = (0..1001_u32)
        .map(|number| Made::new(&format!("a{number}"), &[]))
        .collect();
    let entries: Vec<Value> = images.iter().map(|it| it.entry(json!({}))).collect();
    let origin = images.iter().fold(
        Origin::default().tagged("1", &index(&entries)),
        |it, made| it.and(made),
    );
    let options = PullOptions {
        all_platforms: true,
        ..options("r.example/app:1")
    };
    let result = Bench::with(origin).pull_with(&options);
    assert!(matches!(result, Err(Error::QuotaExceeded(text)) if text.contains("1000")));
}
