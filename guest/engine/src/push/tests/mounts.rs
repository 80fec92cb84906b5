//! Blobs taken from other repositories of the registry, and where those are known
//! from.

use strata_oci::Digest;

use super::super::testing::{Asked, Bench, Registry, Reply, layer};

/// An image that came from `base` on the same registry, which has its layer.
fn related(answer: impl FnMut(&mut Registry, &Asked) -> Reply + 'static) -> (Bench, Digest) {
    let bench = Bench::bent(answer);
    let target = bench.unnamed("amd64", &[layer(1, 3000)]);
    let labels = [
        ("source.r.example", "app,base"),
        ("source.s.example", "other"),
    ];
    bench
        .store
        .name("images", "r.example/app:1", &target, &labels);
    let digest = Digest::sha256(&layer(1, 3000));
    bench.registry.borrow_mut().have("base", &digest);
    (bench, digest)
}

fn posts(bench: &Bench) -> Vec<String> {
    let asked = bench.asked();
    asked
        .into_iter()
        .filter(|line| line.starts_with("POST"))
        .collect()
}

#[test]
fn a_blob_is_mounted_from_a_known_source() {
    let (bench, digest) = related(|registry, asked| registry.answer(asked));
    bench.push("r.example/app:1").unwrap();
    let mounted = format!("Mounted {}", digest.short());
    assert!(bench.events.brief().contains(&mounted));
    assert!(bench.registry.borrow().has("app", &digest));
    let posts = posts(&bench);
    let mount = format!("POST app/blobs/uploads/?mount={}&from=base", digest.short());
    assert!(posts.contains(&mount), "{posts:?}");
    // The config is not there: the answer to the mount is used as an upload.
    assert_eq!(posts.len(), 2, "{posts:?}");
}

#[test]
fn a_refused_mount_is_an_upload_and_not_asked_for_again() {
    for status in [401, 403, 404, 405, 400] {
        let (mut bench, digest) =
            related(move |registry, asked| match asked.is("POST", "mount=") {
                true => Reply::status(status),
                false => registry.answer(asked),
            });
        bench.engine.settings.parallel_layers = 1;
        bench.push("r.example/app:1").unwrap();
        assert!(bench.registry.borrow().has("app", &digest));
        let posts = posts(&bench);
        assert_eq!(
            posts.len(),
            3,
            "{status}: one mount, two uploads: {posts:?}"
        );
        let uploaded = format!("Uploaded {}", digest.short());
        assert!(bench.events.brief().contains(&uploaded));
    }
}

#[test]
fn layers_of_other_images_are_mounted_from_where_those_came_from() {
    let bench = Bench::new();
    let base = bench.unnamed("amd64", &[layer(1, 3000)]);
    let labels = [("source.r.example", "team/base")];
    bench
        .store
        .name("images", "r.example/team/base:1", &base, &labels);
    bench.image(
        "r.example/app:1",
        "arm64",
        &[layer(1, 3000), layer(2, 3000)],
    );
    let (shared, own) = (
        Digest::sha256(&layer(1, 3000)),
        Digest::sha256(&layer(2, 3000)),
    );
    bench.registry.borrow_mut().have("team/base", &shared);
    bench.push("r.example/app:1").unwrap();
    let brief = bench.events.brief();
    assert!(
        brief.contains(&format!("Mounted {}", shared.short())),
        "{brief:?}"
    );
    assert!(
        brief.contains(&format!("Uploaded {}", own.short())),
        "{brief:?}"
    );
    let asked = posts(&bench);
    let mounts = asked.iter().filter(|line| line.contains("mount="));
    assert_eq!(mounts.count(), 1, "{asked:?}");
}

#[test]
fn only_repositories_of_this_registry_with_a_proper_name_are_sources() {
    for (label, value) in [
        ("source.s.example", "base"),
        ("source.r.example:5000", "base"),
        ("source.r.example", "app"),
        ("source.r.example", ""),
        ("source.r.example", "../base&x=y"),
        ("source.r.example", "base:1"),
        ("source.r.example", "Base"),
    ] {
        let bench = Bench::new();
        let target = bench.unnamed("amd64", &[layer(1, 3000)]);
        bench
            .store
            .name("images", "r.example/app:1", &target, &[(label, value)]);
        bench.push("r.example/app:1").unwrap();
        let posts = posts(&bench);
        assert!(
            posts.iter().all(|line| !line.contains("mount=")),
            "{posts:?}"
        );
    }
}

#[test]
fn the_repository_is_recorded_as_a_source() {
    let bench = Bench::new();
    let target = bench.unnamed("amd64", &[layer(1, 300)]);
    let labels = [("note", "kept"), ("source.r.example", "base")];
    bench
        .store
        .name("images", "r.example/app:1", &target, &labels);
    // Others change names meanwhile, twice.
    for _ in 0..2 {
        let other = target.clone();
        bench.store.before("apply", move |store| {
            store.name("images", "other:1", &other, &[]);
        });
    }
    bench.push("r.example/app:1").unwrap();
    let labels = || {
        let (_, names) = bench
            .clock
            .run(crate::Store::names(&bench.store, "images"))
            .unwrap();
        let name = names
            .into_iter()
            .find(|name| name.name == "r.example/app:1");
        name.unwrap().labels
    };
    let expected = [("note", "kept"), ("source.r.example", "app,base")];
    let expected = expected.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(labels(), expected);

    // Known already: no change.
    bench.store.calls();
    bench.push("r.example/app:1").unwrap();
    assert_eq!(labels(), expected);
}

#[test]
fn a_push_that_failed_records_nothing() {
    let bench = Bench::bent(|registry, asked| match asked.is("PUT", "/manifests/") {
        true => Reply::status(413),
        false => registry.answer(asked),
    });
    bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
    bench.push("r.example/app:1").unwrap_err();
    let (_, names) = bench
        .clock
        .run(crate::Store::names(&bench.store, "images"))
        .unwrap();
    assert!(names.iter().all(|name| name.labels.is_empty()));
}
