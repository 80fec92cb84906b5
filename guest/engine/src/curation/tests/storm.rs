//! Prunes beside others who change names all the time.

use super::*;
use crate::{catalog::fixture::pointer, garbage::IDLE_ROUNDS};

/// Blobs nobody needs.
fn garbage(store: &Memory, count: usize) -> Vec<Digest> {
    let blobs = (0..count).map(|n| store.insert(format!("garbage {n}")));
    blobs.collect()
}

/// Tags `target` before some of the blobs that `delete` takes, as `when` says, one after the other.
fn tag_meanwhile(store: &Memory, target: &Target, when: impl Iterator<Item = bool>) {
    for (n, tags) in when.enumerate() {
        let target = target.clone();
        store.before("batch", move |store| {
            if tags {
                store.name("images", &format!("docker.io/library/n:{n}"), &target, &[]);
            }
        });
    }
}

#[test]
fn a_prune_goes_on_while_names_change() {
    let engine = engine();
    let store = &engine.store;
    let busy = store.named("docker.io/library/busy:1", &PLAIN);
    let count = 3 * IDLE_ROUNDS;
    let garbage = garbage(store, count);
    // Two blobs go, then a name changes.
    let storm = [false, false, true].into_iter().cycle();
    tag_meanwhile(store, &busy, storm.take(2 * count));
    store.calls();
    let pruned = prune(&engine, Filters::default());
    let calls = store.calls();
    let times = |call| calls.iter().filter(|it| **it == call).count();
    assert_eq!((pruned.kept, store.len()), (None, 3));
    assert!(!garbage.iter().any(|digest| store.has(digest)));
    assert!(times("delete") > IDLE_ROUNDS, "{}", times("delete"));
    // Nothing began again.
    assert_eq!((times("blobs"), times("get")), (1, 1));
}

#[test]
fn what_stays_because_names_never_rest_is_told() {
    for first in [0, 1] {
        let engine = engine();
        let store = &engine.store;
        let busy = store.named("docker.io/library/busy:1", &PLAIN);
        garbage(store, 5);
        let storm = (0..first + IDLE_ROUNDS + 1).map(|n| n >= first);
        tag_meanwhile(store, &busy, storm);
        let pruned = block_on(engine.prune(&Filters::default()));
        assert_eq!(store.len(), 3 + 5 - first);
        if first == 0 {
            let text = "image names keep changing, try again".to_owned();
            assert_eq!(pruned, Err(Error::Conflict(text)));
            continue;
        }
        let pruned = pruned.unwrap();
        assert_eq!(pruned.reclaimed, 9);
        let kept = pruned.kept.unwrap();
        assert!(kept.contains("4 blobs"), "{kept}");
        // The storm is over.
        assert_eq!(prune(&engine, Filters::default()).kept, None);
        assert_eq!(store.len(), 3);
    }
}

/// What a name that comes in the middle of a prune may be.
#[derive(Clone, Copy, Debug)]
enum Late {
    Image,
    Index,
    /// Another platform of an index that has a name.
    Platform,
    Container,
    /// Something about an image that has a name.
    Referrer,
    /// Something about an image that comes with it.
    ReferrerOfNew,
    /// A referrer that waits for its image, which gets a name.
    Awaited,
    Foreign,
}

#[test]
fn what_a_name_reaches_that_comes_meanwhile_stays() {
    for late in [
        Late::Image,
        Late::Index,
        Late::Platform,
        Late::Container,
        Late::Referrer,
        Late::ReferrerOfNew,
        Late::Awaited,
        Late::Foreign,
    ] {
        // Before the first blob goes, and after some.
        for calm in [0, 1, 7] {
            let engine = engine();
            let store = &engine.store;
            let old = store.named("docker.io/library/old:1", &with_layers(&["base", "old"]));
            let new = store.image(&Recipe {
                platform: "linux/arm64",
                layers: &["base", "new"],
                ..PLAIN
            });
            let about = match late {
                Late::Referrer => Some(store.referrer(&old, "about")),
                Late::ReferrerOfNew => Some(store.referrer(&new, "about")),
                _ => None,
            };
            let both = [entry(&old, "linux/amd64"), entry(&new, "linux/arm64")];
            let index = match late {
                Late::Index | Late::Platform => Some(store.index(&both)),
                _ => None,
            };
            let manifest = store.bytes(&new.digest).unwrap();
            if let (Late::Platform, Some(index)) = (late, &index) {
                store.name("images", "docker.io/library/both:1", index, &[]);
            }
            let here = block_on(store.blobs()).unwrap().into_iter();
            let kept: Vec<Digest> = match (late, &about) {
                // Not the image `new`.
                (Late::Referrer, Some(about)) => {
                    vec![about.digest.clone(), Memory::layer("about")]
                }
                _ => here.map(|(digest, _)| digest).collect(),
            };
            if let Late::Platform = late {
                store.lose(&new.digest);
            }
            if let Late::Awaited = late {
                store.kept_referrer(&new, "waits");
            }
            let garbage = garbage(store, 20);
            // As whoever brings something in: it is protected until it has its name.
            let lease = block_on(store.acquire_lease()).unwrap();
            block_on(store.stat_all(&kept, Some(&lease))).unwrap();
            for _ in 0..calm {
                store.before("batch", |_| {});
            }
            let (new, old) = (new.clone(), old.clone());
            let call = match late {
                // Its referrer would be forsaken before anything is deleted.
                Late::Awaited => "apply",
                _ => "batch",
            };
            store.before(call, move |store| {
                store.at(5);
                let image =
                    |target: &Target| store.name("images", "docker.io/library/new:1", target, &[]);
                match (late, &index, &about) {
                    (Late::Index, Some(index), _) => image(index),
                    (Late::Platform, Some(index), _) => {
                        store.insert(manifest);
                        store.name("images", "docker.io/library/both:1", index, &[]);
                    }
                    (Late::Container, ..) => {
                        let record = store.index(&[pointer(&new)]);
                        store.name("containers", &"c".repeat(64), &record, &[]);
                    }
                    (Late::Referrer, _, Some(about)) => store.keep(about, &old),
                    (Late::ReferrerOfNew, _, Some(about)) => {
                        image(&new);
                        store.keep(about, &new);
                    }
                    (Late::Foreign, ..) => store.name("build-cache", "new", &new, &[]),
                    _ => image(&new),
                }
                drop(lease);
            });
            let pruned = prune(&engine, Filters::default());
            let case = format!("{late:?} {calm}");
            assert_eq!(pruned.kept, None, "{case}");
            for digest in &kept {
                assert!(store.has(digest), "{case}: {digest}");
            }
            assert!(!garbage.iter().any(|digest| store.has(digest)), "{case}");
            if let Late::Awaited = late {
                assert!(store.has(&Memory::layer("waits")), "{case}");
            }
        }
    }
}
