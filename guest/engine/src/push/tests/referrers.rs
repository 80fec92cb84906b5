//! What is about an image goes out with it.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject>

use std::{cell::Cell, rc::Rc};

use serde_json::{Value, json};
use strata_oci::{Digest, media_type};

use super::super::testing::{Asked, Bench, Reply, layer, options, platform};
use crate::{
    Error, PushOptions, Target,
    catalog::fixture::{entry, pointer},
};

pub(super) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
pub(super) const SIGNATURE: &str = "application/vnd.example.signature";
const APP: &str = "r.example/app:1";

/// Stores a manifest about `subject`, with one layer.
pub(super) fn signature(bench: &Bench, subject: &Target, seed: u8) -> Target {
    let config = bench.store.document(EMPTY, &json!({}));
    let bytes = layer(seed, 100);
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": SIGNATURE,
        "config": pointer(&config),
        "layers": [{
            "mediaType": SIGNATURE,
            "digest": bench.store.insert(bytes.clone()),
            "size": bytes.len(),
        }],
        "subject": pointer(subject),
    });
    bench.store.document(media_type::OCI_MANIFEST, &manifest)
}

/// [`signature`], with a name.
pub(super) fn signed(bench: &Bench, subject: &Target, seed: u8) -> Target {
    let signature = signature(bench, subject, seed);
    let name = format!("r.example/signatures:{seed}");
    bench.store.name("images", &name, &signature, &[]);
    signature
}

/// A machine whose registry lists referrers and which has an image, `app:1`.
fn listing(mut bench: Bench) -> (Bench, Target) {
    bench.engine.settings.parallel_layers = 1;
    bench.registry.borrow_mut().lists_referrers = true;
    let image = bench.image(APP, "amd64", &[layer(1, 300)]);
    (bench, image)
}

/// The manifests put, by name in the repository, digests shortened.
pub(super) fn put(bench: &Bench) -> Vec<String> {
    let asked = bench.asked();
    let put = asked
        .iter()
        .filter_map(|line| line.strip_prefix("PUT app/manifests/"));
    put.map(str::to_owned).collect()
}

pub(super) fn has(bench: &Bench, target: &Target) -> bool {
    let tagged = bench.registry.borrow();
    tagged.tagged("app", target.digest.as_str()).is_some()
}

pub(super) fn tagged(bench: &Bench) -> Option<Digest> {
    bench.registry.borrow().tagged("app", "1")
}

pub(super) fn warnings(bench: &Bench) -> Vec<String> {
    let brief = bench.events.brief().into_iter();
    brief
        .filter_map(|it| it.strip_prefix("warning ").map(str::to_owned))
        .collect()
}

/// Whether a manifest with a subject is sent.
fn sends_referrer(asked: &Asked) -> bool {
    asked.is("PUT", "/manifests/")
        && serde_json::from_slice::<Value>(&asked.body).is_ok_and(|it| it.get("subject").is_some())
}

#[test]
fn what_is_about_an_image_goes_out_after_it_and_before_its_tag() {
    let (bench, image) = listing(Bench::new());
    let one = signed(&bench, &image, 1);
    let about_it = signed(&bench, &one, 2);
    let other = bench.unnamed("arm64", &[layer(2, 300)]);
    let unrelated = signed(&bench, &other, 3);
    let unnamed = signature(&bench, &image, 4);
    let done = bench.push(APP).unwrap();
    assert_eq!(done[0].digest, image.digest);
    let mut put = put(&bench);
    assert_eq!(put.remove(0), image.digest.short());
    assert_eq!(put.pop().unwrap(), "1");
    put.sort();
    let mut expected = [one.digest.short(), about_it.digest.short()];
    expected.sort();
    assert_eq!(put, expected);
    assert!(!has(&bench, &unrelated) && !has(&bench, &unnamed));
    assert_eq!(tagged(&bench), Some(image.digest));
    assert!(warnings(&bench).is_empty());
}

#[test]
fn a_referrer_of_an_image_goes_out_with_it() {
    let (bench, image) = listing(Bench::new());
    let referrer = signature(&bench, &image, 1);
    let name = referrer.digest.as_str();
    let labels = [("subject", image.digest.as_str())];
    bench.store.name("referrers", name, &referrer, &labels);
    bench.push(APP).unwrap();
    assert_eq!(
        put(&bench),
        [image.digest.short(), referrer.digest.short(), "1"]
    );
}

#[test]
fn what_a_referrer_lists_goes_before_it() {
    let (bench, image) = listing(Bench::new());
    let listed = bench.unnamed("arm64", &[layer(2, 300)]);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [pointer(&listed)],
        "subject": pointer(&image),
    });
    let index = bench.store.document(media_type::OCI_INDEX, &index);
    bench
        .store
        .name("images", "r.example/bundle:1", &index, &[]);
    bench.push(APP).unwrap();
    let [image, listed, index] = [&image, &listed, &index].map(|it| it.digest.short());
    assert_eq!(put(&bench), [image, listed, index, "1"]);
}

#[test]
fn what_is_about_any_part_that_goes_out_goes_too_and_nothing_else() {
    let all = ["index", "amd64", "arm64"];
    for (wanted, lost, expected) in [
        (None, None, &all[..]),
        (Some("linux/arm64"), None, &["arm64"]),
        (None, Some(layer(1, 300)), &["arm64"]),
    ] {
        let bench = Bench::new();
        bench.registry.borrow_mut().lists_referrers = true;
        let amd64 = bench.unnamed("amd64", &[layer(1, 300)]);
        let arm64 = bench.unnamed("arm64", &[layer(2, 300)]);
        let entries = [entry(&amd64, "linux/amd64"), entry(&arm64, "linux/arm64")];
        let index = bench.store.index(&entries);
        bench.store.name("images", APP, &index, &[]);
        let about = [
            signed(&bench, &index, 3),
            signed(&bench, &amd64, 4),
            signed(&bench, &arm64, 5),
        ];
        if let Some(lost) = lost {
            bench.store.lose(&Digest::sha256(&lost));
        }
        let options = PushOptions {
            platform: wanted.map(platform),
            ..options(APP)
        };
        bench.push_with(&options).unwrap();
        let sent = all.into_iter().zip(&about);
        let sent = sent.filter(|(_, signature)| has(&bench, signature));
        let sent: Vec<&str> = sent.map(|(of, _)| of).collect();
        assert_eq!(sent, expected, "{wanted:?}");
    }
}

#[test]
fn what_is_not_all_here_stays_behind_with_a_warning() {
    let (bench, image) = listing(Bench::new());
    let lacking = signed(&bench, &image, 1);
    let whole = signed(&bench, &image, 2);
    let lost = Digest::sha256(&layer(1, 100));
    bench.store.lose(&lost);
    bench.push(APP).unwrap();
    assert_eq!(tagged(&bench), Some(image.digest));
    assert!(has(&bench, &whole) && !has(&bench, &lacking));
    let warnings = warnings(&bench);
    let [warning] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(warning.starts_with(lacking.digest.as_str()), "{warning}");
    assert!(warning.contains(lost.as_str()), "{warning}");
}

#[test]
fn a_damaged_signature_keeps_no_image_back() {
    let (bench, image) = listing(Bench::new());
    let signature = signed(&bench, &image, 1);
    bench.store.damage(&signature.digest);
    bench.push(APP).unwrap();
    assert_eq!(tagged(&bench), Some(image.digest));
}

#[test]
fn what_a_registry_refuses_stays_behind_with_a_warning() {
    for reply in [
        Reply::error(400, "MANIFEST_INVALID"),
        Reply::error(400, "NAME_INVALID"),
        Reply::error(403, "DENIED"),
        Reply::error(405, "UNSUPPORTED"),
        Reply::status(404),
        Reply::status(413),
        Reply::status(415),
    ] {
        let status = reply.status;
        let (bench, image) = listing(Bench::bent(move |registry, asked| {
            match sends_referrer(asked) && String::from_utf8_lossy(&asked.body).contains("refuse") {
                true => reply.clone(),
                false => registry.answer(asked),
            }
        }));
        let taken = signed(&bench, &image, 1);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_INDEX,
            "manifests": [],
            "subject": pointer(&image),
            "annotations": { "please": "refuse" },
        });
        let refused = bench.store.document(media_type::OCI_INDEX, &manifest);
        bench
            .store
            .name("images", "r.example/refused:1", &refused, &[]);
        bench.push(APP).unwrap();
        assert_eq!(tagged(&bench), Some(image.digest), "{status}");
        assert!(has(&bench, &taken) && !has(&bench, &refused), "{status}");
        let warnings = warnings(&bench);
        assert_eq!(warnings.len(), 1, "{status}: {warnings:?}");
        assert!(warnings[0].starts_with(refused.digest.as_str()));
    }
}

#[test]
fn what_a_registry_refuses_in_words_of_its_own_stays_behind_with_a_warning() {
    for reply in [
        Reply::error(404, "MANIFEST_UNKNOWN"),
        Reply::error(400, "MANIFEST_BLOB_UNKNOWN"),
        Reply::error(400, "HOUSE_RULE"),
        Reply::status(409),
        Reply::status(422),
    ] {
        let status = reply.status;
        let (bench, image) = listing(Bench::bent(move |registry, asked| {
            match sends_referrer(asked) {
                true => reply.clone(),
                false => registry.answer(asked),
            }
        }));
        signed(&bench, &image, 1);
        bench.push(APP).unwrap();
        assert_eq!(tagged(&bench), Some(image.digest), "{status}");
        assert_eq!(warnings(&bench).len(), 1, "{status}");
    }
}

#[test]
fn content_that_a_registry_refuses_keeps_no_image_back() {
    let mut is_image_there = false;
    let (bench, image) = listing(Bench::bent(move |registry, asked| {
        is_image_there |= asked.is("PUT", "/manifests/");
        match is_image_there && asked.method == "POST" {
            true => Reply::error(403, "DENIED"),
            false => registry.answer(asked),
        }
    }));
    let signature = signed(&bench, &image, 1);
    bench.push(APP).unwrap();
    assert_eq!(tagged(&bench), Some(image.digest));
    assert!(!has(&bench, &signature));
    assert_eq!(warnings(&bench).len(), 1);
}

#[test]
fn what_the_next_push_could_send_keeps_the_tag_back() {
    for reply in [
        Reply::cut(),
        Reply::status(503),
        Reply::status(429).header("retry-after", "3600"),
    ] {
        let fails = Rc::new(Cell::new(true));
        let still = fails.clone();
        let (bench, image) = listing(Bench::bent(move |registry, asked| {
            match sends_referrer(asked) && still.get() {
                true => reply.clone(),
                false => registry.answer(asked),
            }
        }));
        let signature = signed(&bench, &image, 1);
        let error = bench.push(APP).unwrap_err();
        assert!(
            matches!(error, Error::Unavailable(_) | Error::RateLimited { .. }),
            "{error:?}"
        );
        assert_eq!(tagged(&bench), None);
        fails.set(false);
        bench.push(APP).unwrap();
        assert!(has(&bench, &signature));
        assert_eq!(tagged(&bench), Some(image.digest));
    }
}

#[test]
fn what_came_since_goes_out_though_the_image_is_there() {
    let (bench, image) = listing(Bench::new());
    bench.push(APP).unwrap();
    bench.asked();
    let signature = signed(&bench, &image, 1);
    let done = bench.push(APP).unwrap();
    assert!(!done[0].changed);
    assert_eq!(put(&bench), [signature.digest.short()]);
    assert_eq!(
        bench.registry.borrow().tagged("app", "1"),
        Some(image.digest)
    );
}

#[test]
fn what_came_since_goes_out_though_the_index_is_no_longer_all_here() {
    let (bench, amd64) = listing(Bench::new());
    let arm64 = bench.unnamed("arm64", &[layer(2, 300)]);
    let entries = [entry(&amd64, "linux/amd64"), entry(&arm64, "linux/arm64")];
    let index = bench.store.index(&entries);
    bench.store.name("images", APP, &index, &[]);
    bench.push(APP).unwrap();
    bench.asked();
    bench.store.lose(&Digest::sha256(&layer(1, 300)));
    let about = [
        signed(&bench, &index, 3),
        signed(&bench, &arm64, 4),
        signed(&bench, &amd64, 5),
    ];
    let done = bench.push(APP).unwrap();
    assert_eq!((&done[0].digest, done[0].changed), (&index.digest, false));
    // What the registry has is not sent, nor asked for by its digest.
    let asked = bench.web.log.borrow();
    assert!(!asked.iter().any(|it| it.is("HEAD", index.digest.as_str())));
    drop(asked);
    let mut put = put(&bench);
    put.sort();
    let mut expected = about.each_ref().map(|it| it.digest.short());
    expected.sort();
    assert_eq!(put, expected);
    assert_eq!(tagged(&bench), Some(index.digest));
}

/// Pushes an image and a chain of referrers of this length, each about the one before.
fn push_chain(seed: u8, length: u8, parallel: usize) {
    let (mut bench, image) = listing(Bench::new());
    bench.engine.settings.parallel_layers = parallel;
    bench.registry.borrow_mut().wants_subjects = true;
    let mut last = image;
    for depth in 0..length {
        last = signed(&bench, &last, 10 * seed + depth);
    }
    bench.push(APP).unwrap();
    assert!(has(&bench, &last), "{seed}");
    assert!(warnings(&bench).is_empty());
}

#[test]
fn a_registry_that_wants_the_subject_first_gets_it_first() {
    for parallel in [1, 4] {
        push_chain(1, 1, parallel);
    }
}

#[test]
fn a_registry_that_wants_the_subject_first_gets_chains_in_order() {
    // Several, since their digests sort either way.
    for seed in 0..20 {
        push_chain(seed, 3, 1);
        push_chain(seed, 3, 4);
    }
}

#[test]
fn an_index_may_list_what_is_about_its_other_entries() {
    for is_first in [true, false] {
        let (bench, image) = listing(Bench::new());
        bench.registry.borrow_mut().wants_subjects = true;
        let signature = signature(&bench, &image, 1);
        let mut entries = [entry(&image, "linux/amd64"), pointer(&signature)];
        if is_first {
            entries.reverse();
        }
        let index = bench.store.index(&entries);
        bench.store.name("images", APP, &index, &[]);
        bench.push(APP).unwrap();
        assert_eq!(tagged(&bench), Some(index.digest));
    }
}
