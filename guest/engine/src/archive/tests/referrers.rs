//! What is about an image goes with it: signatures, mostly.

use std::collections::BTreeSet;

use futures::executor::block_on;
use serde_json::{Value, json};
use strata_oci::{Digest, archive::layout::blob_path, media_type};

use super::{
    archive, content, entry, files, index_entry, json_file, layout_entry, load, load_for, named,
    save, save_for, titles,
};
use crate::{
    Error, ListOptions, Store as _, Target,
    catalog::fixture::{PLAIN, Recipe, TestEngine, engine, entry as on, pointer},
    memory::Memory,
};

const ARM: Recipe<'_> = Recipe {
    platform: "linux/arm64",
    layers: &["arm"],
    ..PLAIN
};

/// An index with a manifest of its own that is about `subject`.
fn index_about(store: &Memory, subject: &Target, platform: &str) -> Target {
    let manifest = store.referrer(subject, "in the index");
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [on(&manifest, platform)],
        "subject": pointer(subject),
    });
    store.document(media_type::OCI_INDEX, &index)
}

/// A referrer of `subject` with these layers and no artifact type.
fn without_kind(store: &Memory, subject: &Target, layers: &Value) -> Target {
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": "text/x-kind", "digest": store.insert("{}"), "size": 2},
        "layers": layers,
        "subject": pointer(subject),
    });
    let target = store.document(media_type::OCI_MANIFEST, &manifest);
    store.keep(&target, subject);
    target
}

/// The image `a:1`, a referrer named `sig:1`, and one of that which came with it.
fn signed() -> (TestEngine, [Target; 3]) {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let signature = store.referrer(&image, "signature");
    store.name("images", "docker.io/library/sig:1", &signature, &[]);
    let note = store.kept_referrer(&signature, "note");
    (engine, [image, signature, note])
}

/// The entry of a referrer.
fn about(referrer: &Target, subject: &Target, kind: Option<&str>) -> Value {
    let mut entry = pointer(referrer);
    if let Some(kind) = kind {
        entry["artifactType"] = json!(kind);
    }
    entry["annotations"] = json!({ "io.containerd.manifest.subject": subject.digest });
    entry
}

const SIGNATURE: Option<&str> = Some("application/vnd.example.signature");

fn entries(archive: &[u8]) -> Vec<Value> {
    let index = json_file(archive, "index.json");
    index["manifests"].as_array().unwrap().clone()
}

/// The digests that `index.json` lists.
fn listed(archive: &[u8]) -> Vec<Value> {
    let entries = entries(archive).into_iter();
    entries.map(|entry| entry["digest"].clone()).collect()
}

/// Digests in the order in which referrers are listed.
fn sorted(targets: &[&Target]) -> Vec<Value> {
    let digests: BTreeSet<&Digest> = targets.iter().map(|target| &target.digest).collect();
    digests.into_iter().map(|digest| json!(digest)).collect()
}

/// An archive of everything in a store that lists these entries.
fn pack(engine: &TestEngine, entries: &[Value]) -> Vec<u8> {
    let mut packed = vec![layout_entry(), index_entry(entries)];
    for (digest, _) in block_on(engine.store.blobs()).unwrap() {
        let bytes = engine.store.bytes(&digest).unwrap();
        packed.push(entry(&blob_path(&digest), bytes));
    }
    archive(&packed)
}

/// The names of referrers.
fn kept(engine: &TestEngine) -> Vec<Value> {
    let names = engine.store.names_of("referrers").into_iter();
    names.map(Value::from).collect()
}

fn dangling(target: &Target) -> String {
    format!("moby-dangling@{}", target.digest)
}

#[test]
fn an_image_is_saved_with_what_is_about_it() {
    let (engine, [image, signature, note]) = signed();
    let store = &engine.store;
    let more = store.kept_referrer(&image, "more");
    let whole: BTreeSet<String> = block_on(store.blobs())
        .unwrap()
        .iter()
        .map(|(digest, _)| blob_path(digest))
        .collect();
    // About something else, and not whole.
    let other = store.named("docker.io/library/b:1", &ARM);
    store.kept_referrer(&other, "other");
    let broken = store.referrer(&image, "lost");
    store.name("images", "docker.io/library/broken:1", &broken, &[]);
    store.kept_referrer(&image, "lost too");
    store.lose(&Memory::layer("lost"));
    store.lose(&Memory::layer("lost too"));

    let archive = save(&engine, &["a:1"]).unwrap();
    let paths = files(&archive).into_iter().map(|(path, _)| path);
    let blobs = paths.filter(|path| path.starts_with("blobs/sha256/") && !path.ends_with('/'));
    assert_eq!(blobs.collect::<BTreeSet<_>>(), whole);
    let entries = entries(&archive);
    let (first, rest) = entries.split_first().unwrap();
    assert_eq!(first["digest"], json!(image.digest));
    let mut expected = vec![
        about(&signature, &image, SIGNATURE),
        about(&note, &signature, SIGNATURE),
        about(&more, &image, SIGNATURE),
    ];
    expected.sort_by_key(|entry| entry["digest"].to_string());
    assert_eq!(rest, expected);
    let rows = json_file(&archive, "manifest.json");
    assert_eq!(rows.as_array().unwrap().len(), 1);
    assert_eq!(rows[0]["RepoTags"], json!(["a:1"]));
}

#[test]
fn the_kind_of_a_referrer_is_the_one_of_its_config_if_it_says_no_other() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let plain = without_kind(store, &image, &json!([]));
    let index = index_about(store, &image, "linux/amd64");
    store.keep(&index, &image);
    let mut expected = [
        about(&plain, &image, Some("text/x-kind")),
        about(&index, &image, None),
    ];
    expected.sort_by_key(|entry| entry["digest"].to_string());
    let archive = save(&engine, &["a:1"]).unwrap();
    assert_eq!(entries(&archive)[1..], expected);
    assert!(content(&archive, &blob_path(&Memory::layer("in the index"))).is_some());
}

#[test]
fn layers_had_from_elsewhere_do_not_keep_a_referrer_out() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let layer = Memory::layer("elsewhere");
    let kind = "application/vnd.oci.image.layer.nondistributable.v1.tar";
    let layers = json!([{"mediaType": kind, "digest": layer, "size": 9}]);
    let foreign = without_kind(store, &image, &layers);
    for is_here in [false, true] {
        if is_here {
            store.insert("elsewhere");
        }
        let archive = save(&engine, &["a:1"]).unwrap();
        assert_eq!(listed(&archive)[1..], [json!(foreign.digest)]);
        assert_eq!(content(&archive, &blob_path(&layer)), None);
    }
}

#[test]
fn a_referrer_saved_by_its_name_is_listed_once_as_an_image() {
    let (engine, [image, signature, note]) = signed();
    let all = [&image, &signature, &note].map(|it| json!(it.digest));
    let archive = save(&engine, &["a:1", "sig:1"]).unwrap();
    assert_eq!(listed(&archive), all);
    let name = |entry: &Value| entry["annotations"]["io.containerd.image.name"].clone();
    let names: Vec<_> = entries(&archive).iter().map(name).collect();
    let sig = json!("docker.io/library/sig:1");
    assert_eq!(names, [json!("docker.io/library/a:1"), sig, json!(null)]);
    // Without its subject it takes only what is about itself.
    let alone = save(&engine, &["sig:1"]).unwrap();
    assert_eq!(listed(&alone), all[1..]);
}

#[test]
fn what_is_about_an_index_and_about_its_manifests_goes_along() {
    let engine = engine();
    let store = &engine.store;
    let (amd, arm) = (store.image(&PLAIN), store.image(&ARM));
    let index = store.index(&[on(&amd, "linux/amd64"), on(&arm, "linux/arm64")]);
    store.name("images", "docker.io/library/multi:1", &index, &[]);
    let of_index = store.kept_referrer(&index, "index");
    let of_amd = store.kept_referrer(&amd, "amd64");
    let of_arm = store.kept_referrer(&arm, "arm64");
    let of_all = sorted(&[&of_index, &of_amd, &of_arm]);
    let rows: [(&[&str], &Target, Vec<Value>); 4] = [
        (&[], &index, of_all.clone()),
        (&["linux/amd64"], &amd, sorted(&[&of_amd])),
        (&["linux/arm64"], &arm, sorted(&[&of_arm])),
        (&["linux/amd64", "linux/arm64"], &index, of_all),
    ];
    for (platforms, target, expected) in rows {
        let archive = save_for(&engine, &["multi:1"], platforms).unwrap();
        let listed = listed(&archive);
        assert_eq!(listed[0], json!(target.digest), "{platforms:?}");
        assert_eq!(listed[1..], expected, "{platforms:?}");
    }
}

#[test]
fn what_comes_with_an_image_is_no_image_and_goes_out_with_it_again() {
    let (from, [image, signature, note]) = signed();
    let index = index_about(&from.store, &note, "linux/amd64");
    from.store.keep(&index, &note);
    let first = save(&from, &["a:1"]).unwrap();
    let to = engine();
    assert_eq!(titles(load(&to, &first).unwrap()), ["a:1"]);
    let images = || to.store.names_of("images");
    assert_eq!(images(), ["docker.io/library/a:1"]);
    let list = block_on(to.list(&ListOptions::default())).unwrap();
    assert_eq!(list.len(), 1);
    assert_eq!(list[0].target.digest, image.digest);
    assert_eq!(kept(&to), sorted(&[&signature, &note, &index]));
    assert_eq!(save(&to, &["a:1"]).unwrap(), first);
    // The same again changes nothing.
    let (before, blobs) = (to.store.now(), to.store.len());
    assert_eq!(titles(load(&to, &first).unwrap()), ["a:1"]);
    assert_eq!((to.store.now(), to.store.len()), (before, blobs));
}

#[test]
fn a_lost_race_sets_names_and_keeps_referrers_all_the_same() {
    let (from, _) = signed();
    let archive = save(&from, &["a:1"]).unwrap();
    let to = engine();
    to.store.before("apply", |store| {
        store.named("docker.io/library/a:1", &ARM);
    });
    load(&to, &archive).unwrap();
    assert_eq!(to.store.names_of("images").len(), 2, "one dangles");
    assert_eq!(save(&to, &["a:1"]).unwrap(), archive);
}

#[test]
fn only_what_has_no_name_and_comes_with_its_subject_is_no_image() {
    let (from, [image, signature, note]) = signed();
    let (a, sig) = ("docker.io/library/a:1", "docker.io/library/sig:1");
    let named_a = || named(&image, a);
    let [hidden_image, hidden_signature, hidden_note] = [&image, &signature, &note].map(dangling);
    let hidden = named(&signature, &hidden_signature);
    // Entries; images; referrers.
    let rows: [(Vec<Value>, Vec<&str>, Vec<&Target>); 7] = [
        (
            vec![named_a(), pointer(&signature), pointer(&note)],
            vec![a],
            vec![&signature, &note],
        ),
        // In any order, with whatever the entry says.
        (
            vec![about(&note, &image, None), hidden, named_a()],
            vec![a],
            vec![&signature, &note],
        ),
        (
            vec![named_a(), named(&signature, sig), pointer(&note)],
            vec![a, sig],
            vec![&note],
        ),
        // What the note is about has no entry.
        (
            vec![named_a(), pointer(&note)],
            vec![a, &hidden_note],
            vec![],
        ),
        (
            vec![named_a(), about(&note, &image, None)],
            vec![a, &hidden_note],
            vec![],
        ),
        (vec![pointer(&signature)], vec![&hidden_signature], vec![]),
        // The image need not have a name either.
        (
            vec![pointer(&image), pointer(&signature)],
            vec![&hidden_image],
            vec![&signature],
        ),
    ];
    for (entries, images, referrers) in rows {
        let archive = pack(&from, &entries);
        for is_here in [false, true] {
            let to = engine();
            if is_here {
                // What is about it came without it all the same.
                to.store.image(&PLAIN);
                to.store.referrer(&image, "signature");
            }
            let loaded = load(&to, &archive).unwrap();
            assert_eq!(loaded.len(), images.len(), "{entries:?}");
            assert_eq!(to.store.names_of("images"), images, "{entries:?}");
            assert_eq!(kept(&to), sorted(&referrers), "{entries:?}");
        }
    }
}

#[test]
fn what_is_about_a_part_of_itself_is_an_image() {
    let from = engine();
    let store = &from.store;
    let part = store.image(&PLAIN);
    let index = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_INDEX,
        "manifests": [on(&part, "linux/amd64")],
        "subject": pointer(&part),
    });
    let index = store.document(media_type::OCI_INDEX, &index);
    let to = engine();
    let loaded = load(&to, &pack(&from, &[pointer(&index)])).unwrap();
    assert_eq!(titles(loaded), [index.digest.as_str()]);
    assert_eq!(to.store.names_of("images"), [dangling(&index)]);
}

#[test]
fn platforms_do_not_choose_among_referrers() {
    let from = engine();
    let store = &from.store;
    let (amd, arm) = (store.image(&PLAIN), store.image(&ARM));
    let index = store.index(&[on(&amd, "linux/amd64"), on(&arm, "linux/arm64")]);
    store.name("images", "docker.io/library/multi:1", &index, &[]);
    let of_index = store.kept_referrer(&index, "index");
    let of_arm = store.kept_referrer(&arm, "arm64");
    let nested = index_about(store, &amd, "linux/arm64");
    store.keep(&nested, &amd);
    let archive = save(&from, &["multi:1"]).unwrap();
    let to = engine();
    let loaded = load_for(&to, &archive, &["linux/amd64"]).unwrap();
    assert_eq!(titles(loaded), ["multi:1"]);
    let layers = ["layer", "index", "arm64", "in the index"].map(Memory::layer);
    for blob in layers
        .iter()
        .chain([&of_index, &of_arm, &nested].map(|it| &it.digest))
    {
        assert!(to.store.has(blob), "{blob}");
    }
    assert!(!to.store.has(&arm.digest) && !to.store.has(&Memory::layer("arm")));
    assert_eq!(to.store.names_of("referrers").len(), 3);
    // Nor do they count as images for a platform.
    let stated = pack(&from, &[on(&amd, "linux/amd64"), pointer(&nested)]);
    let (lacks, filtered) = (
        "image multi:1 was loaded, but doesn't provide the requested platform ([linux/s390x])",
        "requested platform(s) ([linux/s390x]) not found: image might be filtered out",
    );
    for (archive, text) in [(archive, lacks), (stated, filtered)] {
        let error = load_for(&engine(), &archive, &["linux/s390x"]).unwrap_err();
        assert_eq!(error, Error::PlatformMismatch(text.to_owned()));
    }
}

#[test]
fn a_referrer_must_be_whole() {
    let (from, [image, signature, _]) = signed();
    let lost = Memory::layer("signature");
    from.store.lose(&lost);
    let entries = [named(&image, "docker.io/library/a:1"), pointer(&signature)];
    let archive = pack(&from, &entries);
    let expected = Error::ManifestInvalid(format!(
        "image {} is incomplete in the archive: {lost} is missing",
        signature.digest
    ));
    for platforms in [&[][..], &["linux/amd64"]] {
        let to = engine();
        let error = load_for(&to, &archive, platforms).unwrap_err();
        assert_eq!(error, expected, "{platforms:?}");
        for space in ["images", "referrers"] {
            assert_eq!(to.store.names_of(space), [""; 0]);
        }
        assert_eq!(to.store.leases(), 0);
    }
}
