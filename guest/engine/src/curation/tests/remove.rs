use super::*;

/// One row of the decision table: names of the image, containers (ID, running),
/// what is removed, forced or not.
struct Row<'a> {
    names: &'a [&'a str],
    containers: &'a [(&'a str, bool)],
    remove: &'a str,
    force: bool,
}

/// A row, what it gives, and the names left.
type Case<'a> = (Row<'a>, Result<Vec<Removal>, Error>, &'a [&'a str]);

#[test]
fn remove_follows_the_decision_table() {
    let target = engine().store.image(&PLAIN);
    let digest = target.digest.as_str();
    let id = target.digest.short();
    let by_digest = format!("docker.io/library/a@{digest}");
    let familiar = format!("a@{digest}");
    let hidden = dangling(&target);
    let gone = deleted(&target);
    let row = |names, containers, remove, force| Row {
        names,
        containers,
        remove,
        force,
    };
    let running = [("c0ffee0000001234", true)];
    let stopped = [("c0ffee0000001234", false)];
    let only = ["docker.io/library/a:1"];
    let two_tags = ["docker.io/library/a:1", "docker.io/library/a:2"];
    let two_repositories = ["docker.io/library/a:1", "quay.io/b/c:1"];
    let same = ["docker.io/library/a:1", by_digest.as_str()];
    let tags_and_digest = [
        "docker.io/library/a:1",
        "docker.io/library/a:2",
        by_digest.as_str(),
    ];
    let foreign = ["docker.io/library/a:1", "No Reference"];
    let hidden_only = [hidden.as_str()];
    let leftover = ["docker.io/library/a:1", hidden.as_str()];
    let name_in_use = format!(
        "conflict: unable to delete a:1 (must be forced) - container c0ffee000000 is using its referenced image {id}"
    );
    let several = format!(
        "conflict: unable to delete {id} (must be forced) - image is referenced in multiple repositories"
    );
    let is_running = format!(
        "conflict: unable to delete {id} (cannot be forced) - image is being used by running container c0ffee000000"
    );
    let is_stopped = format!(
        "conflict: unable to delete {id} (must be forced) - image is being used by stopped container c0ffee000000"
    );
    let cases: Vec<Case<'_>> = vec![
        // By name: other names exist; containers never block.
        (
            row(&two_tags, &running, "a:1", false),
            Ok(vec![untagged("a:1")]),
            &two_tags[1..],
        ),
        (
            row(&two_repositories, &[], "a:1", false),
            Ok(vec![untagged("a:1")]),
            &two_repositories[1..],
        ),
        (
            row(&two_repositories, &[], "a:1", true),
            Ok(vec![untagged("a:1")]),
            &two_repositories[1..],
        ),
        (
            row(&foreign, &[], "a:1", false),
            Ok(vec![untagged("a:1")]),
            &foreign[1..],
        ),
        (
            row(&foreign, &[], "No Reference", false),
            Ok(vec![untagged("No Reference")]),
            &foreign[..1],
        ),
        // By name: the only one.
        (
            row(&only, &[], "a:1", false),
            Ok(vec![untagged("a:1"), gone.clone()]),
            &[],
        ),
        (
            row(&only, &stopped, "a:1", false),
            conflict(name_in_use.clone()),
            &only,
        ),
        (
            row(&only, &running, "a:1", false),
            conflict(name_in_use.clone()),
            &only,
        ),
        (
            row(&only, &running, "a:1", true),
            Ok(vec![untagged("a:1")]),
            &hidden_only,
        ),
        (
            row(&same, &[], "a:1", false),
            Ok(vec![untagged("a:1"), untagged(&familiar), gone.clone()]),
            &[],
        ),
        (
            row(&same, &stopped, "a:1", false),
            conflict(name_in_use),
            &same,
        ),
        (
            row(&leftover, &[], "a:1", false),
            Ok(vec![untagged("a:1"), gone.clone()]),
            &[],
        ),
        // By digest: every name of that repository.
        (
            row(&tags_and_digest, &[], &familiar, false),
            Ok(vec![
                untagged("a:1"),
                untagged("a:2"),
                untagged(&familiar),
                gone.clone(),
            ]),
            &[],
        ),
        (
            row(&two_repositories, &[], &familiar, false),
            Ok(vec![untagged("a:1")]),
            &two_repositories[1..],
        ),
        // By tag with other tags there, the digest name stays.
        (
            row(&tags_and_digest, &[], "a:1", false),
            Ok(vec![untagged("a:1")]),
            &tags_and_digest[1..],
        ),
        // By ID.
        (
            row(&two_tags, &[], id, false),
            conflict(several.clone()),
            &two_tags,
        ),
        (
            row(&two_repositories, &[], digest, false),
            conflict(several.clone()),
            &two_repositories,
        ),
        (
            row(&two_repositories, &running, id, false),
            conflict(several),
            &two_repositories,
        ),
        (
            row(&two_repositories, &[], id, true),
            Ok(vec![
                untagged("a:1"),
                untagged("quay.io/b/c:1"),
                gone.clone(),
            ]),
            &[],
        ),
        (
            row(&two_repositories, &running, id, true),
            conflict(is_running.clone()),
            &two_repositories,
        ),
        (
            row(&same, &[], id, false),
            Ok(vec![untagged("a:1"), untagged(&familiar), gone.clone()]),
            &[],
        ),
        (
            row(&only, &running, id, false),
            conflict(is_running.clone()),
            &only,
        ),
        (row(&only, &running, id, true), conflict(is_running), &only),
        (
            row(&only, &stopped, id, false),
            conflict(is_stopped.clone()),
            &only,
        ),
        (
            row(&only, &stopped, id, true),
            Ok(vec![untagged("a:1"), gone.clone()]),
            &[],
        ),
        (
            row(&hidden_only, &[], id, false),
            Ok(vec![untagged(digest), gone.clone()]),
            &[],
        ),
        (
            row(&hidden_only, &[], &hidden, false),
            Ok(vec![untagged(digest), gone.clone()]),
            &[],
        ),
        (
            row(&hidden_only, &stopped, id, false),
            conflict(is_stopped),
            &hidden_only,
        ),
    ];
    for (row, expected, left) in cases {
        let engine = engine();
        let store = &engine.store;
        let target = store.image(&PLAIN);
        for name in row.names {
            store.name("images", name, &target, &[]);
        }
        for (id, running) in row.containers {
            store.container(id, &target, "a:1", *running);
        }
        let options = RemoveOptions {
            force: row.force,
            ..RemoveOptions::default()
        };
        let outcome = block_on(engine.remove(row.remove, &options));
        let what = format!("{:?} {} {}", row.names, row.remove, row.force);
        assert_eq!(outcome, expected, "{what}");
        let mut left: Vec<_> = left.to_vec();
        left.sort_unstable();
        assert_eq!(store.names_of("images"), left, "{what}");
        assert_eq!(store.has(&target.digest), !left.is_empty(), "{what}");
        assert_eq!(
            store.has(&Memory::layer("layer")),
            !left.is_empty(),
            "{what}"
        );
    }
}

#[test]
fn remove_refuses() {
    let engine = engine();
    engine.store.named("docker.io/library/a:1", &PLAIN);
    let invalid = |text: &str| Error::InvalidArgument(text.to_owned());
    let remove = |name: &str, options: &RemoveOptions| block_on(engine.remove(name, options));
    assert_eq!(
        remove(" ", &FORCE),
        Err(invalid("image name cannot be blank"))
    );
    let not_found = Error::NotFound("No such image: nosuch:latest".to_owned());
    assert_eq!(remove("nosuch", &FORCE), Err(not_found));
    assert_eq!(
        remove("A", &FORCE),
        Err(invalid(
            "invalid reference format: repository name (library/A) must be lowercase"
        ))
    );
    let platforms = RemoveOptions {
        platforms: vec![platform("linux/amd64")],
        ..RemoveOptions::default()
    };
    let text = "Content will be removed from all images referencing this variant. Use —-force to force delete.";
    assert_eq!(remove("a:1", &platforms), Err(invalid(text)));
}

#[test]
fn remove_keeps_what_other_images_need() {
    let engine = engine();
    let store = &engine.store;
    let one = store.named("docker.io/library/one:1", &with_layers(&["base", "1"]));
    let two = store.named("docker.io/library/two:1", &with_layers(&["base", "2"]));
    // `three` is an index over `two`.
    let three = store.index(&[entry(&two, "linux/amd64")]);
    store.name("images", "docker.io/library/three:1", &three, &[]);
    let orphan = store.insert("orphan");
    let remove = |name| block_on(engine.remove(name, &RemoveOptions::default())).unwrap();
    assert_eq!(remove("one:1"), [untagged("one:1"), deleted(&one)]);
    assert!(!store.has(&Memory::layer("1")));
    assert!(store.has(&Memory::layer("base")));
    // Its manifest is needed by the index: it is not gone.
    assert_eq!(remove("two:1"), [untagged("two:1")]);
    assert!(store.has(&Memory::layer("2")));
    assert_eq!(
        remove("three:1"),
        [untagged("three:1"), deleted(&three), deleted(&two)]
    );
    // Removing is no prune.
    assert!(store.has(&orphan));
    assert_eq!(store.len(), 1);
}

#[test]
fn remove_platforms_takes_their_content_only() {
    let engine = engine();
    let store = &engine.store;
    let amd64 = store.image(&with_layers(&["base", "amd64"]));
    let arm64 = store.image(&Recipe {
        platform: "linux/arm64",
        layers: &["base", "arm64"],
        ..PLAIN
    });
    let about = store.image(&with_layers(&["statement"]));
    let index = store.index(&[
        entry(&amd64, "linux/amd64"),
        entry(&arm64, "linux/arm64"),
        attestation(&about, &arm64),
    ]);
    store.name("images", "docker.io/library/a:1", &index, &[]);
    let options = |text: &str| RemoveOptions {
        platforms: vec![platform(text)],
        ..FORCE
    };
    let removals = block_on(engine.remove("a:1", &options("linux/arm64"))).unwrap();
    assert_eq!(removals, [deleted(&arm64)]);
    assert!(!store.has(&arm64.digest) && !store.has(&Memory::layer("arm64")));
    assert!(
        store.has(&index.digest) && store.has(&amd64.digest) && store.has(&Memory::layer("base"))
    );
    let again = block_on(engine.remove("a:1", &options("linux/arm64"))).unwrap_err();
    let text = "image with reference a:1 was found but does not provide the specified platform (linux/arm64)";
    assert_eq!(again, Error::NotFound(text.to_owned()));

    // A target keeps its manifest, so that its name resolves.
    let single = store.named("docker.io/library/b:1", &with_layers(&["single"]));
    let removals = block_on(engine.remove("b:1", &options("linux/amd64"))).unwrap();
    assert_eq!(removals, [deleted(&single)]);
    assert!(store.has(&single.digest) && !store.has(&Memory::layer("single")));
}
