//! Damage of one image, and everything else goes on.

use super::*;
use crate::{
    ImageSummary, InspectOptions, ListOptions,
    catalog::fixture::{engine_of, pointer},
};

/// What can be damaged of the image `one`, which has a layer of its own; `two` shares another with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Index,
    Manifest,
    Config,
    Layer,
}

/// How.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Flipped,
    Truncated,
    Lost,
    Unreadable,
}

struct Gallery {
    engine: TestEngine,
    index: Target,
    manifest: Target,
    config: Digest,
}

/// Two images, the first of which is an index of one platform if `part` is one.
fn gallery(part: Part) -> Gallery {
    let engine = engine();
    let store = &engine.store;
    let manifest = store.image(&with_layers(&["base", "one"]));
    let index = match part {
        Part::Index => store.index(&[entry(&manifest, "linux/amd64")]),
        _ => manifest.clone(),
    };
    // As pull and load name what they bring.
    let one = strata_oci::Reference::parse("one:1").unwrap();
    block_on(engine.name_image(Some(&one), &index)).unwrap();
    let two = store.image(&with_layers(&["base", "two"]));
    let name = strata_oci::Reference::parse("two:1").unwrap();
    block_on(engine.name_image(Some(&name), &two)).unwrap();
    let document = store.bytes(&manifest.digest).unwrap();
    let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
    let config = Digest::parse(document["config"]["digest"].as_str().unwrap()).unwrap();
    Gallery {
        engine,
        index,
        manifest,
        config,
    }
}

impl Gallery {
    fn target(&self, part: Part) -> Digest {
        match part {
            Part::Index => self.index.digest.clone(),
            Part::Manifest => self.manifest.digest.clone(),
            Part::Config => self.config.clone(),
            Part::Layer => Memory::layer("one"),
        }
    }

    /// Damages a part as nobody saw it, and forgets what was read.
    fn damage(&mut self, part: Part, how: How) {
        let digest = self.target(part);
        let store = &self.engine.store;
        match how {
            How::Flipped => store.damage(&digest),
            How::Truncated => store.truncate(&digest, 2),
            How::Lost => store.lose(&digest),
            How::Unreadable => store.hide(&digest),
        }
        self.engine = engine_of(self.engine.store.clone());
        if part == Part::Layer && matches!(how, How::Flipped | How::Truncated) {
            // Nothing here reads layers; a check does.
            block_on(self.engine.store.verify(&digest)).unwrap();
        }
    }

    fn list(&self) -> Vec<std::rc::Rc<ImageSummary>> {
        block_on(self.engine.list(&ListOptions::default())).unwrap()
    }

    fn image(&self, name: &str) -> Option<std::rc::Rc<ImageSummary>> {
        let mut images = self.list().into_iter();
        images.find(|it| it.tags.contains(&name.to_owned()))
    }
}

const EVERY: [(Part, How); 16] = [
    (Part::Index, How::Flipped),
    (Part::Index, How::Truncated),
    (Part::Index, How::Lost),
    (Part::Index, How::Unreadable),
    (Part::Manifest, How::Flipped),
    (Part::Manifest, How::Truncated),
    (Part::Manifest, How::Lost),
    (Part::Manifest, How::Unreadable),
    (Part::Config, How::Flipped),
    (Part::Config, How::Truncated),
    (Part::Config, How::Lost),
    (Part::Config, How::Unreadable),
    (Part::Layer, How::Flipped),
    (Part::Layer, How::Truncated),
    (Part::Layer, How::Lost),
    (Part::Layer, How::Unreadable),
];

#[test]
fn one_damaged_blob_fails_nothing_else() {
    for (part, how) in EVERY {
        let mut gallery = gallery(part);
        gallery.damage(part, how);
        let engine = &gallery.engine;
        let case = format!("{part:?} {how:?}");
        for _ in 0..2 {
            let one = gallery.image("one:1").expect(&case);
            let two = gallery.image("two:1").expect(&case);
            assert!(one.damaged.is_some(), "{case}");
            // What can be read of it is shown.
            let is_readable = part == Part::Layer;
            assert_eq!(one.created == two.created, is_readable, "{case}");
            assert_eq!(two.damaged, None, "{case}");
            assert_eq!(two.created, 1_704_067_200, "{case}");
        }
        let details = block_on(engine.inspect("one:1", &InspectOptions::default())).expect(&case);
        assert_eq!(details.tags, ["one:1"], "{case}");
        assert!(details.damaged.is_some(), "{case}");
        assert_eq!(details.config.is_some(), part == Part::Layer, "{case}");
        block_on(engine.inspect("two:1", &InspectOptions::default())).expect(&case);
        block_on(engine.history("two:1", None)).expect(&case);
        let new = strata_oci::Reference::parse("three:1").unwrap();
        block_on(engine.tag("two:1", &new)).expect(&case);
        block_on(engine.remove("three:1", &Default::default())).expect(&case);
        block_on(engine.prune(&Filters::default())).expect(&case);
        assert!(engine.store.has(&Memory::layer("two")), "{case}");
    }
}

#[test]
fn what_is_missing_is_damage_unless_its_platform_is_not_here_or_another_is_whole() {
    let engine = engine();
    let store = &engine.store;
    let amd = store.image(&with_layers(&["one", "two"]));
    let arm = store.image(&Recipe {
        platform: "linux/arm64",
        layers: &["three", "four"],
        ..PLAIN
    });
    let config = |target: &Target| {
        let document = store.bytes(&target.digest).unwrap();
        let document: serde_json::Value = serde_json::from_slice(&document).unwrap();
        Digest::parse(document["config"]["digest"].as_str().unwrap()).unwrap()
    };
    let arm_config = config(&arm);
    let parts = [
        arm_config.clone(),
        Memory::layer("three"),
        Memory::layer("four"),
    ];
    let bytes = parts.clone().map(|it| store.bytes(&it).unwrap());
    let others = [config(&amd), Memory::layer("one"), Memory::layer("two")];
    let other_bytes = others.clone().map(|it| store.bytes(&it).unwrap());
    let set = |digest: &Digest, bytes: &[u8], here: bool| {
        store.lose(digest);
        if here {
            store.insert(bytes.to_vec());
        }
    };
    // With the platform in the index, and without: then a pull reads configs to find the right one.
    for says in [true, false] {
        let entries = match says {
            true => [entry(&amd, "linux/amd64"), entry(&arm, "linux/arm64")],
            false => [pointer(&amd), pointer(&arm)],
        };
        let index = store.index(&entries);
        store.name("images", "docker.io/library/both:1", &index, &[]);
        for (here, is_damaged) in [
            ([true, true, true], false),
            ([false, false, false], false),
            ([true, false, false], says),
            ([false, true, false], true),
            ([true, true, false], true),
            ([false, true, true], true),
        ] {
            for ((digest, bytes), here) in parts.iter().zip(&bytes).zip(here) {
                set(digest, bytes, here);
            }
            for other_is_whole in [true, false] {
                for (digest, bytes) in others.iter().zip(&other_bytes) {
                    set(digest, bytes, other_is_whole);
                }
                let images = block_on(engine.list(&ListOptions::default())).unwrap();
                let damage = images[0].damaged.as_deref();
                let expected = is_damaged && !other_is_whole;
                assert_eq!(damage.is_some(), expected, "{says} {here:?}: {damage:?}");
                if let Some(damage) = damage {
                    assert!(damage.ends_with("is missing"), "{damage}");
                }
                if other_is_whole {
                    let details = block_on(engine.inspect("both:1", &InspectOptions::default()));
                    let config = details.unwrap().config.unwrap();
                    assert_eq!(config.architecture, "amd64");
                }
            }
        }
    }
}

#[test]
fn a_damaged_image_keeps_what_it_referred_to_and_nothing_more() {
    for (part, how) in EVERY {
        let mut gallery = gallery(part);
        let stray = gallery.engine.store.insert("stray");
        gallery.damage(part, how);
        let store = &gallery.engine.store;
        let case = format!("{part:?} {how:?}");
        let kept: Vec<Digest> = [Part::Index, Part::Manifest, Part::Config, Part::Layer]
            .map(|it| gallery.target(it))
            .into_iter()
            .filter(|digest| store.has(digest))
            .collect();
        let pruned = block_on(gallery.engine.prune(&Filters::default())).expect(&case);
        for digest in &kept {
            assert!(store.has(digest), "{case}: {digest}");
        }
        // A file that is gone takes along what was written down about it.
        let is_known = !(how == How::Lost && matches!(part, Part::Index | Part::Manifest));
        assert_eq!(store.has(&stray), !is_known, "{case}");
        assert_eq!(
            pruned.kept.is_some(),
            !is_known,
            "{case}: {:?}",
            pruned.kept
        );
    }
}

#[test]
fn a_damaged_image_goes_by_name_and_by_id_and_takes_its_content_along() {
    for by_id in [false, true] {
        for (part, how) in EVERY {
            let mut gallery = gallery(part);
            gallery.damage(part, how);
            let store = &gallery.engine.store;
            let case = format!("{part:?} {how:?} {by_id}");
            let id = gallery.index.digest.to_string();
            let name = if by_id { id.as_str() } else { "one:1" };
            let removed = block_on(gallery.engine.remove(name, &Default::default()));
            assert_eq!(removed.expect(&case)[0], untagged("one:1"), "{case}");
            assert!(gallery.image("one:1").is_none(), "{case}");
            let pruned = block_on(gallery.engine.prune(&Filters::default())).expect(&case);
            assert_eq!(pruned.kept, None, "{case}");
            for it in [Part::Index, Part::Manifest, Part::Config, Part::Layer] {
                assert!(!store.has(&gallery.target(it)), "{case}: {it:?}");
            }
            for layer in ["base", "two"] {
                assert!(store.has(&Memory::layer(layer)), "{case}");
            }
        }
    }
}

#[test]
fn a_damaged_image_of_a_container_goes_by_force() {
    for (part, how) in EVERY {
        let mut gallery = gallery(part);
        let store = &gallery.engine.store;
        store.container(&"c".repeat(64), &gallery.index, "one:1", false);
        gallery.damage(part, how);
        let case = format!("{part:?} {how:?}");
        let force = crate::RemoveOptions {
            force: true,
            ..Default::default()
        };
        let removed = block_on(gallery.engine.remove("one:1", &force));
        assert_eq!(removed.expect(&case), [untagged("one:1")], "{case}");
        assert!(gallery.image("one:1").is_none(), "{case}");
    }
}

#[test]
fn a_removal_takes_what_a_damaged_manifest_was_known_to_need() {
    let mut gallery = gallery(Part::Manifest);
    gallery.damage(Part::Manifest, How::Flipped);
    block_on(gallery.engine.remove("one:1", &Default::default())).unwrap();
    let store = &gallery.engine.store;
    assert!(!store.has(&Memory::layer("one")) && !store.has(&gallery.config));
    assert!(store.has(&Memory::layer("base")));
}

#[test]
fn nothing_goes_while_nobody_knows_what_a_damaged_image_needs() {
    let engine = engine();
    let store = &engine.store;
    // Named by another tool: nothing was written down.
    let one = store.named("docker.io/library/one:1", &with_layers(&["one"]));
    store.named("docker.io/library/two:1", &with_layers(&["two"]));
    let stray = store.insert("stray");
    store.damage(&one.digest);
    let pruned = block_on(engine.prune(&Filters::default())).unwrap();
    let reason = pruned.kept.unwrap();
    assert!(
        reason.contains(one.digest.as_str()) && reason.contains("strata check"),
        "{reason}"
    );
    let removed = block_on(engine.remove("two:1", &Default::default())).unwrap();
    assert_eq!(removed, [untagged("two:1")]);
    assert!(store.has(&stray) && store.has(&Memory::layer("two")));
    block_on(engine.remove("one:1", &Default::default())).unwrap();
    let pruned = block_on(engine.prune(&Filters::default())).unwrap();
    assert_eq!((pruned.kept, store.len()), (None, 0));
}

#[test]
fn what_a_newer_version_wrote_is_kept_by_what_it_mentions() {
    let engine = engine();
    let store = &engine.store;
    let layer = store.insert("layer");
    let other = store.insert("other");
    // A manifest of a version this one cannot read.
    let text = format!("{{\"schemaVersion\":3,\"blobs\":[\"{layer}\"]}}");
    let target = Target {
        media_type: media_type::OCI_MANIFEST.to_owned(),
        size: text.len() as u64,
        digest: store.insert(text),
    };
    store.name("images", "docker.io/library/new:1", &target, &[]);
    let pruned = block_on(engine.prune(&Filters::default())).unwrap();
    assert_eq!(pruned.kept, None);
    assert!(store.has(&layer) && !store.has(&other));
    let images = block_on(engine.list(&ListOptions::default())).unwrap();
    let reason = images[0].damaged.as_deref().unwrap();
    assert!(reason.contains("unsupported"), "{reason}");
}

#[test]
fn errors_about_a_damaged_image_say_what_to_do() {
    let mut gallery = gallery(Part::Config);
    gallery.damage(Part::Config, How::Flipped);
    let engine = &gallery.engine;
    let on = InspectOptions {
        platform: Some(platform("linux/amd64")),
        ..InspectOptions::default()
    };
    for error in [
        block_on(engine.history("one:1", None)).unwrap_err(),
        block_on(engine.inspect("one:1", &on)).unwrap_err(),
    ] {
        let Error::Damaged(text) = &error else {
            panic!("{error:?}");
        };
        let start = format!("image one:1 is damaged: blob {} is damaged", gallery.config);
        let end = "pull or load it again, or run `strata check --repair`";
        assert!(text.starts_with(&start) && text.ends_with(end), "{text}");
    }
}

#[test]
fn names_of_unknown_name_spaces_keep_all_they_reach() {
    let engine = engine();
    let store = &engine.store;
    let image = store.image(&with_layers(&["image"]));
    let index = store.index(&[entry(&image, "linux/amd64")]);
    store.name("build-cache", "a", &index, &[]);
    // Of a record that is no document, every digest in it counts.
    let result = store.insert("result");
    let record = json!({"result": {"blob": result, "made": "by\na \"newer\" version"}});
    let record = store.document("application/vnd.example.record+json", &record);
    store.name("build-cache", "b", &record, &[]);
    // What is no text mentions nothing.
    let binary = Target {
        media_type: "application/octet-stream".to_owned(),
        size: 4,
        digest: store.insert([0xff, b'\\', b'u', b'0']),
    };
    store.name("credentials", "c", &binary, &[]);
    let stray = store.insert("stray");
    let pruned = block_on(engine.prune(&Filters::default())).unwrap();
    assert_eq!((pruned.kept, pruned.reclaimed), (None, 5));
    assert!(!store.has(&stray));
    for digest in [
        &image.digest,
        &index.digest,
        &Memory::layer("image"),
        &record.digest,
        &result,
        &binary.digest,
    ] {
        assert!(store.has(digest), "{digest}");
    }
    assert!(
        block_on(engine.list(&ListOptions::default()))
            .unwrap()
            .is_empty()
    );
}

#[test]
fn labels_that_cannot_be_read_cost_neither_container_nor_referrer() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    store.container(&"c".repeat(64), &image, "a:1", false);
    let record = store.document("application/json", &json!({"container": "d"}));
    store.name(
        "containers",
        &"d".repeat(64),
        &record,
        &[("image", "sha256:g")],
    );
    let about = store.kept_referrer(&image, "about it");
    store.name("referrers", about.digest.as_str(), &about, &[]);
    block_on(engine.prune(&Filters::default())).unwrap();
    for digest in [&record.digest, &about.digest] {
        assert!(store.has(digest), "{digest}");
    }
    let snapshot = block_on(engine.snapshot()).unwrap();
    let mut containers: Vec<&str> = snapshot.all_containers().map(|it| it.id.as_str()).collect();
    containers.sort_unstable();
    assert_eq!(containers, ["c".repeat(64), "d".repeat(64)]);
}

#[test]
fn a_long_chain_of_referrers_is_walked_once() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let mut last = image.clone();
    let mut chain = Vec::new();
    for _ in 0..300 {
        last = store.kept_referrer(&last, "signature");
        chain.push(last.clone());
    }
    store.calls();
    block_on(engine.prune(&Filters::default())).unwrap();
    let calls = store.calls();
    let count = |call| calls.iter().filter(|it| **it == call).count();
    assert!(count("stat_all") < 20, "{}", count("stat_all"));
    assert_eq!(count("get"), 301, "each document once, and no config");
    for it in &chain {
        assert!(store.has(&it.digest));
    }
    block_on(engine.remove("a:1", &Default::default())).unwrap();
    assert_eq!((store.len(), store.names_of("referrers").len()), (0, 0));
}

#[test]
fn a_name_whose_type_nobody_knows_keeps_its_content() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    for media_type in ["applicatioo/vnd.oci.image.manifest.v1+json", "x/y", ""] {
        let odd = Target {
            media_type: media_type.to_owned(),
            ..image.clone()
        };
        store.name("images", "docker.io/library/a:1", &odd, &[]);
        let count = store.len();
        block_on(engine.prune(&Filters::default())).unwrap();
        assert_eq!(store.len(), count, "{media_type}");
    }
}

#[test]
fn what_may_have_been_lost_keeps_all_and_says_what_to_look_at() {
    let gone = Target {
        media_type: "application/octet-stream".to_owned(),
        digest: Digest::sha256(b"gone"),
        size: 0,
    };
    for (namespace, name, words) in [
        (
            "lost",
            "store.db-1",
            "delete that file from .strata/quarantine",
        ),
        ("builds", "first", "of the unknown name space builds"),
    ] {
        let engine = engine();
        engine.store.insert("nobody's");
        engine.store.name(namespace, name, &gone, &[]);
        let pruned = prune(&engine, ALL);
        let kept = pruned.kept.unwrap();
        assert!(kept.contains(words) && kept.contains(name), "{kept}");
        assert_eq!((pruned.reclaimed, engine.store.len()), (0, 1), "{kept}");
    }
}
