//! Lists of referrers in registries that keep none.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#referrers-tag-schema>

use std::{cell::Cell, rc::Rc};

use serde_json::{Value, json};
use strata_oci::{Digest, document::MAX_DOCUMENT_BYTES, media_type};

use super::{
    super::testing::{Asked, Bench, Registry, Reply, layer},
    referrers::{EMPTY, SIGNATURE, put, signature, signed, tagged, warnings},
};
use crate::{Error, Target, catalog::fixture::pointer};

const APP: &str = "r.example/app:1";

/// A machine with an image, `app:1`, whose registry lists nothing itself.
fn unlisting(answer: impl FnMut(&mut Registry, &Asked) -> Reply + 'static) -> (Bench, Target) {
    let bench = Bench::bent(answer);
    let image = bench.image(APP, "amd64", &[layer(1, 300)]);
    (bench, image)
}

fn honest() -> (Bench, Target) {
    unlisting(|registry, asked| registry.answer(asked))
}

/// The tag of the list of what is about `subject`.
fn tag(subject: &Target) -> String {
    subject.digest.as_str().replace(':', "-")
}

/// Puts JSON into the repository, under its digest and maybe a tag.
fn place(registry: &mut Registry, tag: Option<&str>, media_type: &str, json: &Value) -> Value {
    let bytes = json.to_string().into_bytes();
    let digest = Digest::sha256(&bytes);
    for name in [Some(digest.as_str()), tag].into_iter().flatten() {
        let manifest = (media_type.to_owned(), bytes.clone());
        let key = ("app".to_owned(), name.to_owned());
        registry.manifests.insert(key, manifest);
    }
    json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
}

/// What somebody else put there: its entry in a list.
fn foreign(registry: &mut Registry, number: usize) -> Value {
    let manifest = json!({ "number": number });
    place(registry, None, media_type::OCI_MANIFEST, &manifest)
}

/// Makes `entries` the list under a tag.
fn list(registry: &mut Registry, tag: &str, entries: &[Value]) {
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": entries,
        "annotations": { "by": "others" },
    });
    place(registry, Some(tag), media_type::OCI_INDEX, &index);
}

/// The entries of the list of what is about `subject`.
fn listed(bench: &Bench, subject: &Target) -> Vec<Value> {
    let registry = bench.registry.borrow();
    let (media_type, bytes) = &registry.manifests[&("app".to_owned(), tag(subject))];
    assert_eq!(media_type, media_type::OCI_INDEX);
    let index: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["mediaType"], media_type::OCI_INDEX);
    index["manifests"].as_array().unwrap().clone()
}

fn entry_of(signature: &Target) -> Value {
    let mut entry = pointer(signature);
    entry["artifactType"] = json!(SIGNATURE);
    entry
}

/// How often the list was asked for and sent.
fn traffic(bench: &Bench, subject: &Target) -> (usize, usize) {
    let tag = tag(subject);
    let log = bench.web.log.take();
    let count = |method| log.iter().filter(|asked| asked.is(method, &tag)).count();
    (count("GET"), count("PUT"))
}

#[test]
fn only_a_registry_that_says_it_lists_the_referrer_needs_no_list() {
    let other = Digest::sha256(b"other");
    for (said, expected) in [
        (None, (1, 1)),
        (Some(other.to_string()), (1, 1)),
        (Some("yes".to_owned()), (1, 1)),
        (Some(String::new()), (0, 0)),
    ] {
        let answered = said.clone();
        let (bench, image) = unlisting(move |registry, asked| {
            registry.lists_referrers = answered.is_some();
            let reply = registry.answer(asked);
            match (&answered, reply.get("oci-subject")) {
                (Some(said), Some(_)) if !said.is_empty() => reply.header("oci-subject", said),
                _ => reply,
            }
        });
        signed(&bench, &image, 1);
        bench.push(APP).unwrap();
        assert_eq!(traffic(&bench, &image), expected, "{said:?}");
    }
}

#[test]
fn an_entry_says_what_the_referrer_says_of_itself() {
    let annotations = json!({ "org.opencontainers.image.created": "2024-01-01T00:00:00Z" });
    for (kind, config_type, expected) in [
        (Some(SIGNATURE), EMPTY, SIGNATURE),
        (
            None,
            "application/vnd.example.config",
            "application/vnd.example.config",
        ),
    ] {
        let (bench, image) = honest();
        let config = bench.store.document(config_type, &json!({}));
        let mut manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": pointer(&config),
            "layers": [],
            "subject": pointer(&image),
            "annotations": annotations,
        });
        if let Some(kind) = kind {
            manifest["artifactType"] = json!(kind);
        }
        let referrer = bench.store.document(media_type::OCI_MANIFEST, &manifest);
        // The name's type and size say nothing.
        let odd = Target {
            media_type: "application/octet-stream".to_owned(),
            size: 1,
            ..referrer.clone()
        };
        bench
            .store
            .name("images", "r.example/signatures:1", &odd, &[]);
        bench.push(APP).unwrap();
        let mut entry = pointer(&referrer);
        entry["artifactType"] = json!(expected);
        entry["annotations"] = annotations.clone();
        assert_eq!(listed(&bench, &image), [entry]);
    }
    // An index has no config.
    let (bench, image) = honest();
    let mut index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [],
        "subject": pointer(&image),
    });
    let plain = bench.store.document(media_type::OCI_INDEX, &index);
    index["artifactType"] = json!(SIGNATURE);
    let typed = bench.store.document(media_type::OCI_INDEX, &index);
    for (name, target) in [("r.example/s:1", &plain), ("r.example/s:2", &typed)] {
        bench.store.name("images", name, target, &[]);
    }
    bench.push(APP).unwrap();
    let listed = listed(&bench, &image);
    assert_eq!(listed.len(), 2);
    assert!(listed.contains(&pointer(&plain)) && listed.contains(&entry_of(&typed)));
}

#[test]
fn each_subject_has_a_list_of_its_own_that_a_second_push_leaves_alone() {
    let (bench, image) = honest();
    let one = signed(&bench, &image, 1);
    let two = signed(&bench, &image, 2);
    let about_one = signed(&bench, &one, 3);
    for traffic_expected in [(1, 1), (1, 0)] {
        bench.push(APP).unwrap();
        let entries = listed(&bench, &image);
        assert_eq!(entries.len(), 2);
        assert!(entries.contains(&entry_of(&one)) && entries.contains(&entry_of(&two)));
        assert_eq!(listed(&bench, &one), [entry_of(&about_one)]);
        assert_eq!(traffic(&bench, &image), traffic_expected);
    }
    assert!(warnings(&bench).is_empty());
}

#[test]
fn a_list_keeps_what_others_put_there() {
    let (bench, image) = honest();
    let signature = signed(&bench, &image, 1);
    let mut registry = bench.registry.borrow_mut();
    let others = [foreign(&mut registry, 1), foreign(&mut registry, 2)];
    list(&mut registry, &tag(&image), &others);
    drop(registry);
    bench.push(APP).unwrap();
    let [one, two] = others;
    assert_eq!(listed(&bench, &image), [one, two, entry_of(&signature)]);
    let registry = bench.registry.borrow();
    let (_, bytes) = &registry.manifests[&("app".to_owned(), tag(&image))];
    let index: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(index["annotations"]["by"], "others");
}

#[test]
fn a_list_that_changes_meanwhile_is_read_again() {
    for (changes, tries, warned) in [(1, 2, 0), (5, 6, 0), (usize::MAX, 16, 1)] {
        let mut reads = 0;
        let mut others = Vec::new();
        let (bench, image) = unlisting(move |registry, asked| {
            let reply = registry.answer(asked);
            if asked.is("GET", "/manifests/sha256-") && reads < changes {
                reads += 1;
                others.push(foreign(registry, reads));
                let tag = asked.uri.path().rsplit('/').next().unwrap();
                list(registry, tag, &others);
            }
            reply
        });
        let signature = signed(&bench, &image, 1);
        list(&mut bench.registry.borrow_mut(), &tag(&image), &[]);
        bench.push(APP).unwrap();
        assert_eq!(traffic(&bench, &image), (tries, tries));
        assert_eq!(tagged(&bench), Some(image.digest.clone()));
        let listed = listed(&bench, &image);
        assert_eq!(listed.contains(&entry_of(&signature)), warned == 0);
        assert_eq!(listed.len(), tries, "{listed:?}");
        assert_eq!(warnings(&bench).len(), warned);
    }
}

#[test]
fn a_tag_that_holds_something_else_stays_as_it_is() {
    for (media_type, json) in [
        (
            media_type::OCI_MANIFEST,
            json!({
                "schemaVersion": 2,
                "mediaType": media_type::OCI_MANIFEST,
                "config": { "mediaType": EMPTY, "digest": Digest::sha256(b"{}"), "size": 2 },
                "layers": [],
            }),
        ),
        ("text/html", json!("welcome")),
    ] {
        let (bench, image) = honest();
        signed(&bench, &image, 1);
        let tag = tag(&image);
        let mut registry = bench.registry.borrow_mut();
        place(&mut registry, Some(&tag), media_type, &json);
        let before = registry.tagged("app", &tag);
        drop(registry);
        bench.push(APP).unwrap();
        assert_eq!(bench.registry.borrow().tagged("app", &tag), before);
        assert_eq!(tagged(&bench), Some(image.digest.clone()));
        let warnings = warnings(&bench);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(warnings[0].contains(image.digest.as_str()), "{warnings:?}");
    }
}

#[test]
fn a_list_that_cannot_be_reached_keeps_the_tag_back_and_one_that_is_denied_does_not() {
    for (reply, passes) in [
        (Reply::cut(), false),
        (Reply::status(503), false),
        (Reply::error(403, "DENIED"), true),
    ] {
        for method in ["GET", "PUT"] {
            let reply = reply.clone();
            let (bench, image) =
                unlisting(
                    move |registry, asked| match asked.is(method, "/manifests/sha256-") {
                        true => reply.clone(),
                        false => registry.answer(asked),
                    },
                );
            signed(&bench, &image, 1);
            assert_eq!(bench.push(APP).is_ok(), passes, "{method}");
            assert_eq!(tagged(&bench), passes.then_some(image.digest), "{method}");
            assert_eq!(warnings(&bench).len(), usize::from(passes), "{method}");
        }
    }
}

#[test]
fn a_referrer_pushed_by_its_own_name_is_listed_though_the_tag_names_it_already() {
    let fails = Rc::new(Cell::new(true));
    let still = fails.clone();
    let (bench, image) = unlisting(move |registry, asked| {
        match asked.is("GET", "/manifests/sha256-") && still.get() {
            true => Reply::cut(),
            false => registry.answer(asked),
        }
    });
    let signature = signature(&bench, &image, 1);
    bench
        .store
        .name("images", "r.example/app:s", &signature, &[]);
    let error = bench.push("r.example/app:s").unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    let tagged = bench.registry.borrow().tagged("app", "s");
    assert_eq!(tagged.as_ref(), Some(&signature.digest));
    assert!(!put(&bench).contains(&tag(&image)));
    fails.set(false);
    // Nor does it need its subject to be there.
    let done = bench.push("r.example/app:s").unwrap();
    assert!(!done[0].changed);
    assert_eq!(listed(&bench, &image), [entry_of(&signature)]);
    assert!(!put(&bench).contains(&image.digest.short().to_owned()));
}

#[test]
fn a_list_whose_answer_is_lost_has_the_entry_once() {
    for (is_there, expected) in [(false, (1, 2)), (true, (2, 2))] {
        let mut lost = false;
        let (bench, image) = unlisting(move |registry, asked| {
            let reply = registry.answer(asked);
            let is_list = asked.is("PUT", "/manifests/sha256-");
            match is_list && !std::mem::replace(&mut lost, true) {
                true => Reply::cut(),
                false => reply,
            }
        });
        let signature = signed(&bench, &image, 1);
        if is_there {
            list(&mut bench.registry.borrow_mut(), &tag(&image), &[]);
        }
        bench.push(APP).unwrap();
        assert_eq!(traffic(&bench, &image), expected);
        assert_eq!(listed(&bench, &image), [entry_of(&signature)]);
        assert!(warnings(&bench).is_empty());
    }
}

#[test]
fn a_full_list_stays_as_it_is() {
    let (bench, image) = honest();
    signed(&bench, &image, 1);
    let filler = "x".repeat(MAX_DOCUMENT_BYTES - 200);
    let full = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [],
        "annotations": { "a": filler },
    });
    let mut registry = bench.registry.borrow_mut();
    place(
        &mut registry,
        Some(&tag(&image)),
        media_type::OCI_INDEX,
        &full,
    );
    drop(registry);
    bench.push(APP).unwrap();
    assert_eq!(traffic(&bench, &image), (1, 0));
    assert!(listed(&bench, &image).is_empty());
    assert_eq!(warnings(&bench).len(), 1);
}

#[test]
fn what_is_sent_twice_is_listed_once() {
    let mut refused = false;
    let (bench, image) = unlisting(move |registry, asked| {
        // It says that it lacks an entry of the inner index, which it was sent.
        let is_inner = asked.is("PUT", "/manifests/sha256:")
            && String::from_utf8_lossy(&asked.body).contains("inner");
        match is_inner && !std::mem::replace(&mut refused, true) {
            true => Reply::error(400, "MANIFEST_BLOB_UNKNOWN"),
            false => registry.answer(asked),
        }
    });
    let signature = signature(&bench, &image, 1);
    let inner = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [pointer(&signature)],
        "annotations": { "is": "inner" },
    });
    let inner = bench.store.document(media_type::OCI_INDEX, &inner);
    let index = bench.store.index(&[pointer(&image), pointer(&inner)]);
    bench.store.name("images", APP, &index, &[]);
    bench.push(APP).unwrap();
    assert_eq!(tagged(&bench), Some(index.digest));
    assert_eq!(listed(&bench, &image), [entry_of(&signature)]);
}

#[test]
fn a_weak_entity_tag_guards_nothing_and_keeps_nobody_out() {
    let (bench, image) = unlisting(|registry, asked| {
        let reply = registry.answer(asked);
        let weak = reply.get("etag").map(|etag| format!("W/{etag}"));
        match weak {
            Some(weak) => reply.header("etag", &weak),
            None => reply,
        }
    });
    list(&mut bench.registry.borrow_mut(), &tag(&image), &[]);
    let signature = signed(&bench, &image, 1);
    bench.push(APP).unwrap();
    assert_eq!(listed(&bench, &image), [entry_of(&signature)]);
    assert!(warnings(&bench).is_empty());
}
