//! Referrers that came along with their subject stay and go with it.

use super::*;
use crate::{catalog::fixture::pointer, garbage::IDLE_ROUNDS};

/// The layers and names of these referrers, whether they are here.
fn are_here(engine: &TestEngine, referrers: &[(&Target, &str)]) -> Vec<bool> {
    let names = engine.store.names_of("referrers");
    let here = referrers.iter().map(|(target, content)| {
        let layer = Memory::layer(content);
        let found = [
            names.contains(&target.digest.to_string()),
            engine.store.has(&target.digest),
            engine.store.has(&layer),
        ];
        assert!(
            found == [true; 3] || found == [false; 3],
            "{content}: {found:?}"
        );
        found[0]
    });
    here.collect()
}

fn remove(engine: &TestEngine, name: &str, options: &RemoveOptions) -> Vec<Removal> {
    block_on(engine.remove(name, options)).unwrap()
}

/// A container whose own index has an image's manifest, but not the image's index.
fn container_of(store: &Memory, id: &str, image: &Target, manifest: &Target) {
    let changes = store.image(&with_layers(&["changes"]));
    let own = store.index(&[entry(manifest, "linux/amd64"), pointer(&changes)]);
    let labels = [
        ("image", image.digest.as_str()),
        ("name", image.digest.as_str()),
    ];
    store.name("containers", id, &own, &labels);
}

#[test]
fn prune_keeps_what_is_about_something_kept() {
    let only_dangling = Filters {
        dangling: Some(true),
        ..ALL
    };
    for (filters, takes_unneeded) in [
        (Filters::default(), false),
        (only_dangling, false),
        (ALL, true),
    ] {
        let engine = engine();
        let store = &engine.store;
        let image = store.named("docker.io/library/a:1", &with_layers(&["1"]));
        store.container("c1", &image, "a:1", false);
        let part = store.image(&with_layers(&["2"]));
        let inner = store.index(&[entry(&part, "linux/amd64")]);
        let outer = store.index(&[entry(&inner, "linux/amd64")]);
        store.name("images", &dangling(&outer), &outer, &[]);
        store.container("c2", &outer, outer.digest.as_str(), false);
        let run = store.image(&with_layers(&["3"]));
        let removed = store.index(&[entry(&run, "linux/amd64")]);
        container_of(store, "c3", &removed, &run);
        let unneeded = store.named("docker.io/library/b:1", &with_layers(&["4"]));
        let lost = store.image(&with_layers(&["5"]));
        store.name("images", &dangling(&lost), &lost, &[]);

        let signature = store.kept_referrer(&image, "of an image");
        let note = store.kept_referrer(&signature, "of a referrer");
        let member = store.referrer(&image, "a");
        let collection = store.index(&[entry(&member, "linux/amd64")]);
        store.keep(&collection, &image);
        let kept = [
            (&signature, "of an image"),
            (&note, "of a referrer"),
            (&store.kept_referrer(&note, "of that"), "of that"),
            (
                &store.kept_referrer(&part, "of a manifest"),
                "of a manifest",
            ),
            (&store.kept_referrer(&inner, "of an index"), "of an index"),
            (
                &store.kept_referrer(&run, "of a container"),
                "of a container",
            ),
            (&store.kept_referrer(&member, "of a member"), "of a member"),
        ];
        let of_unneeded = store.kept_referrer(&unneeded, "of b:1");
        let of_lost = store.kept_referrer(&lost, "of a dangling image");
        let of_removed = store.kept_referrer(&removed, "of a removed index");
        let gone = [
            (&of_lost, "of a dangling image"),
            (&of_removed, "of a removed index"),
            (
                &store.kept_referrer(&of_lost, "of what goes"),
                "of what goes",
            ),
        ];
        prune(&engine, filters.clone());
        let what = format!("{filters:?}");
        assert_eq!(are_here(&engine, &kept), [true; 7], "{what}");
        assert_eq!(are_here(&engine, &gone), [false; 3], "{what}");
        let of_unneeded = are_here(&engine, &[(&of_unneeded, "of b:1")]);
        assert_eq!(of_unneeded, [!takes_unneeded], "{what}");
        assert!(store.has(&collection.digest) && store.has(&Memory::layer("a")));
        assert!(store.has(&Memory::layer("{}")), "shared by all of them");
        assert_eq!(prune(&engine, filters), Pruned::default(), "{what}");
    }
}

#[test]
fn prune_counts_what_goes_along() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let referrer = store.kept_referrer(&image, "signature");
    let all: u64 = block_on(store.blobs()).unwrap().iter().map(|it| it.1).sum();
    let pruned = prune(&engine, ALL);
    assert_eq!(pruned.removals, [untagged("a:1"), deleted(&image)]);
    assert_eq!(pruned.reclaimed, all);
    assert_eq!(are_here(&engine, &[(&referrer, "signature")]), [false]);
    assert_eq!(store.len(), 0);
}

#[test]
fn what_is_about_an_image_goes_with_its_last_name() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &with_layers(&["base", "1"]));
    store.name("images", "docker.io/library/a:2", &image, &[]);
    let other = store.named("docker.io/library/b:1", &with_layers(&["base", "2"]));
    let signature = store.kept_referrer(&image, "signature");
    let note = store.kept_referrer(&signature, "note");
    let stays = store.kept_referrer(&other, "stays");
    let all = [
        (&signature, "signature"),
        (&note, "note"),
        (&stays, "stays"),
    ];
    let default = RemoveOptions::default();
    remove(&engine, "a:1", &default);
    assert_eq!(are_here(&engine, &all), [true; 3]);
    let removals = remove(&engine, "a:2", &default);
    assert_eq!(removals, [untagged("a:2"), deleted(&image)]);
    assert_eq!(are_here(&engine, &all), [false, false, true]);
    assert!(store.has(&Memory::layer("{}")) && store.has(&Memory::layer("base")));
    remove(&engine, "b:1", &default);
    assert_eq!(store.len(), 0);
}

#[test]
fn a_referrer_that_is_an_image_too_stays_one() {
    let engine = engine();
    let store = &engine.store;
    store.named("docker.io/library/a:1", &PLAIN);
    let image = store.image(&PLAIN);
    let signature = store.kept_referrer(&image, "signature");
    store.name("images", "docker.io/library/sig:1", &signature, &[]);
    let note = store.kept_referrer(&signature, "note");
    remove(&engine, "a:1", &RemoveOptions::default());
    assert_eq!(store.names_of("referrers"), [note.digest.as_str()]);
    assert_eq!(are_here(&engine, &[(&note, "note")]), [true]);
    assert!(store.has(&signature.digest) && store.has(&Memory::layer("signature")));
    remove(&engine, "sig:1", &RemoveOptions::default());
    assert_eq!(store.names_of("referrers"), [""; 0]);
    assert_eq!(store.len(), 0);
}

#[test]
fn a_referrer_with_a_name_is_kept_by_that_alone() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let signature = store.referrer(&image, "signature");
    store.name("images", "docker.io/library/sig:1", &signature, &[]);
    remove(&engine, "a:1", &RemoveOptions::default());
    prune(&engine, Filters::default());
    assert!(store.has(&signature.digest) && store.has(&Memory::layer("signature")));
    // It keeps nothing of its subject, and its subject nothing of it.
    assert!(!store.has(&image.digest));
    let image = store.named("docker.io/library/a:1", &PLAIN);
    remove(&engine, "sig:1", &RemoveOptions::default());
    assert!(store.has(&image.digest) && !store.has(&signature.digest));
}

#[test]
fn containers_keep_what_is_about_their_image() {
    let engine = engine();
    let store = &engine.store;
    let run = store.image(&PLAIN);
    let index = store.index(&[entry(&run, "linux/amd64")]);
    let of_run = store.kept_referrer(&run, "manifest");
    let of_index = store.kept_referrer(&index, "index");
    let both = [(&of_run, "manifest"), (&of_index, "index")];
    store.name("images", "docker.io/library/a:1", &index, &[]);
    container_of(store, "c1", &index, &run);
    // By name the image stays, dangling; by ID only what the container itself has.
    remove(&engine, "a:1", &FORCE);
    assert_eq!(store.names_of("images"), [dangling(&index)]);
    assert_eq!(are_here(&engine, &both), [true, true]);
    remove(&engine, index.digest.as_str(), &FORCE);
    assert!(store.has(&run.digest) && !store.has(&index.digest));
    assert_eq!(are_here(&engine, &both), [true, false]);
}

#[test]
fn removing_a_platform_takes_what_is_about_its_manifest() {
    let engine = engine();
    let store = &engine.store;
    let amd = store.image(&with_layers(&["amd"]));
    let arm = store.image(&Recipe {
        platform: "linux/arm64",
        layers: &["arm"],
        ..PLAIN
    });
    let index = store.index(&[entry(&amd, "linux/amd64"), entry(&arm, "linux/arm64")]);
    store.name("images", "docker.io/library/a:1", &index, &[]);
    let of_index = store.kept_referrer(&index, "of index");
    let of_amd = store.kept_referrer(&amd, "of amd64");
    let of_arm = store.kept_referrer(&arm, "of arm64");
    let note = store.kept_referrer(&of_arm, "note");
    let all = [
        (&of_index, "of index"),
        (&of_amd, "of amd64"),
        (&of_arm, "of arm64"),
        (&note, "note"),
    ];
    let platforms = RemoveOptions {
        platforms: vec![platform("linux/arm64")],
        ..FORCE
    };
    assert_eq!(remove(&engine, "a:1", &platforms), [deleted(&arm)]);
    assert_eq!(are_here(&engine, &all), [true, true, false, false]);
    assert!(store.has(&Memory::layer("amd")) && !store.has(&Memory::layer("arm")));

    // A target keeps its manifest, and that what is about it.
    let single = store.named("docker.io/library/b:1", &with_layers(&["single"]));
    let of_single = store.kept_referrer(&single, "of single");
    let platforms = RemoveOptions {
        platforms: vec![platform("linux/amd64")],
        ..FORCE
    };
    assert_eq!(remove(&engine, "b:1", &platforms), [deleted(&single)]);
    assert!(!store.has(&Memory::layer("single")));
    assert_eq!(are_here(&engine, &[(&of_single, "of single")]), [true]);
}

#[test]
fn what_a_lease_holds_of_a_referrer_goes_later() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let signature = store.kept_referrer(&image, "signature");
    let lease = block_on(store.acquire_lease()).unwrap();
    let leased = [signature.digest.clone(), Memory::layer("signature")];
    block_on(store.stat_all(&leased, Some(&lease))).unwrap();
    remove(&engine, "a:1", &RemoveOptions::default());
    assert_eq!(store.names_of("referrers"), [""; 0]);
    assert!(leased.iter().all(|blob| store.has(blob)));
    assert_eq!(store.len(), 2);
    drop(lease);
    prune(&engine, Filters::default());
    assert_eq!(store.len(), 0);
}

#[test]
fn an_image_named_again_meanwhile_keeps_what_is_about_it() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let signature = store.kept_referrer(&image, "signature");
    let again = image.clone();
    // The first change takes the image's name, the second would take the referrer's.
    store.before("apply", |_| {});
    store.before("apply", move |store| {
        store.name("images", "docker.io/library/b:1", &again, &[]);
    });
    let before = store.len();
    remove(&engine, "a:1", &RemoveOptions::default());
    assert_eq!(are_here(&engine, &[(&signature, "signature")]), [true]);
    assert_eq!(store.len(), before);
    remove(&engine, "b:1", &RemoveOptions::default());
    assert_eq!(store.len(), 0);
}

#[test]
fn what_gets_a_name_before_content_goes_stays_whole() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    let signature = store.kept_referrer(&image, "signature");
    let note = store.kept_referrer(&signature, "note");
    let target = signature.clone();
    store.before("delete", move |store| {
        store.name("images", "docker.io/library/sig:1", &target, &[]);
    });
    remove(&engine, "a:1", &RemoveOptions::default());
    assert!(store.has(&signature.digest) && store.has(&Memory::layer("signature")));
    assert!(store.has(&Memory::layer("{}")));
    assert_eq!(are_here(&engine, &[(&note, "note")]), [false]);
    assert!(!store.has(&image.digest));
}

#[test]
fn what_comes_along_meanwhile_goes_too() {
    let engine = engine();
    let store = &engine.store;
    let image = store.named("docker.io/library/a:1", &PLAIN);
    store.kept_referrer(&image, "signature");
    let subject = image.clone();
    store.before("apply", |_| {});
    store.before("apply", move |store| {
        store.kept_referrer(&subject, "late");
    });
    remove(&engine, "a:1", &RemoveOptions::default());
    assert_eq!(store.names_of("referrers"), [""; 0]);
    assert_eq!(store.len(), 0);
}

#[test]
fn referrers_wait_for_the_next_prune_when_names_never_rest() {
    let engine = engine();
    let store = &engine.store;
    let busy = store.named("docker.io/library/a:1", &PLAIN);
    let image = store.image(&with_layers(&["gone"]));
    let signature = store.kept_referrer(&image, "signature");
    for n in 0..IDLE_ROUNDS {
        let busy = busy.clone();
        store.before("apply", move |store| {
            store.name("images", &format!("docker.io/library/n:{n}"), &busy, &[]);
        });
    }
    let before = store.len();
    let pruned = block_on(engine.prune(&Filters::default()));
    assert!(matches!(pruned, Err(Error::Conflict(_))), "{pruned:?}");
    assert_eq!(store.len(), before);
    assert_eq!(are_here(&engine, &[(&signature, "signature")]), [true]);
    prune(&engine, Filters::default());
    assert_eq!(are_here(&engine, &[(&signature, "signature")]), [false]);
    assert!(store.has(&busy.digest) && !store.has(&Memory::layer("gone")));
}
