use super::*;
use crate::naming::MAX_TRIES;

#[test]
fn tag_tries_again_when_names_change_meanwhile() {
    let engine = engine();
    let store = &engine.store;
    let one = store.named("docker.io/library/a:1", &with_layers(&["1"]));
    let two = store.image(&with_layers(&["2"]));
    let other = two.clone();
    store.before("apply", move |store| {
        store.name("images", "docker.io/library/a:1", &other, &[])
    });
    tag(&engine, "a:1", "b").unwrap();
    assert_eq!(
        store.target_of("docker.io/library/b:latest"),
        Some(two.digest)
    );
    assert!(store.has(&one.digest));
}

#[test]
fn remove_leaves_what_a_lease_holds() {
    let engine = engine();
    let store = &engine.store;
    let target = store.named("docker.io/library/a:1", &PLAIN);
    let lease = block_on(store.acquire_lease()).unwrap();
    let layer = Memory::layer("layer");
    block_on(store.stat_all(&[layer.clone(), target.digest.clone()], Some(&lease))).unwrap();
    let removals = block_on(engine.remove("a:1", &RemoveOptions::default())).unwrap();
    assert_eq!(removals, [untagged("a:1")], "the manifest is not gone yet");
    assert!(store.has(&layer) && store.has(&target.digest));
    assert_eq!(store.len(), 2);
    drop(lease);
    let pruned = prune(&engine, Filters::default());
    assert_eq!(pruned.removals, []);
    assert_eq!(store.len(), 0);
}

#[test]
fn sweep_marks_again_when_a_name_comes_meanwhile() {
    let engine = engine();
    let store = &engine.store;
    let target = store.named("docker.io/library/a:1", &with_layers(&["base", "1"]));
    let other = store.image(&with_layers(&["base", "2"]));
    store.before("delete", move |store| {
        store.name("images", "docker.io/library/b:1", &other, &[])
    });
    let removals = block_on(engine.remove("a:1", &RemoveOptions::default())).unwrap();
    assert_eq!(removals, [untagged("a:1"), deleted(&target)]);
    assert!(store.has(&Memory::layer("base")) && store.has(&Memory::layer("2")));
    assert!(!store.has(&Memory::layer("1")));
}

#[test]
fn remove_decides_again_when_a_name_comes_meanwhile() {
    let engine = engine();
    let store = &engine.store;
    let target = store.named("docker.io/library/a:1", &PLAIN);
    let other = target.clone();
    store.before("apply", move |store| {
        store.name("images", "docker.io/library/b:1", &other, &[])
    });
    let removals = block_on(engine.remove("a:1", &RemoveOptions::default())).unwrap();
    assert_eq!(removals, [untagged("a:1")]);
    assert!(store.has(&target.digest));
}

#[test]
fn remove_gives_up_when_names_never_rest() {
    let engine = engine();
    let store = &engine.store;
    let target = store.named("docker.io/library/a:1", &PLAIN);
    for n in 0..MAX_TRIES {
        let target = target.clone();
        store.before("apply", move |store| {
            store.name(
                "images",
                &format!("docker.io/library/n:{}", n % 2),
                &target,
                &[],
            )
        });
    }
    let outcome = block_on(engine.remove("a:1", &RemoveOptions::default()));
    assert!(matches!(outcome, Err(Error::Conflict(_))));
}
