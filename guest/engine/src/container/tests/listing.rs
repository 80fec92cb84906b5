use strata_oci::{Digest, Platform, config::ContainerConfig};

use super::*;
use crate::{
    ContainerFilters, ContainerListOptions, Error,
    catalog::fixture::{PLAIN, Recipe, platform},
};

fn names(engine: &TestEngine, options: &ContainerListOptions) -> Vec<String> {
    let listed = block_on(engine.containers(options)).unwrap();
    listed.into_iter().map(|it| it.name).collect()
}

/// Three containers of two images.
fn three() -> TestEngine {
    let engine = engine();
    image(&engine, "docker.io/library/app:latest", &usual_layers());
    image(&engine, "docker.io/library/other:1", &[]);
    for (time, name, of, label) in [
        (1, "first", "app", "x=1"),
        (2, "second", "other:1", "x=2"),
        (3, "third", "app:latest", "x=1"),
    ] {
        engine.store.at(time);
        let mut options = CreateOptions {
            image: of.to_owned(),
            name: Some(name.to_owned()),
            ..CreateOptions::default()
        };
        let (key, value) = label.split_once('=').unwrap();
        options.config.labels = Some([(key.to_owned(), value.to_owned())].into());
        block_on(engine.create_container(&options)).unwrap();
    }
    engine
}

#[test]
fn none_runs_so_only_those_who_ask_for_all_get_any() {
    let engine = three();
    let list = |options: ContainerListOptions| names(&engine, &options);
    let plain = ContainerListOptions::default;
    assert_eq!(list(plain()), [""; 0]);
    let all = || ContainerListOptions {
        all: true,
        ..plain()
    };
    assert_eq!(list(all()), ["third", "second", "first"]);
    for (limit, expected) in [
        (0, &[][..]),
        (2, &["third", "second"]),
        (9, &["third", "second", "first"]),
    ] {
        let limit = Some(limit);
        assert_eq!(list(ContainerListOptions { limit, ..plain() }), expected);
    }
    for (status, expected) in [("created", 3), ("running", 0), ("exited", 0)] {
        let mut options = plain();
        options.filters.statuses = vec![status.to_owned()];
        assert_eq!(list(options).len(), expected, "{status}");
    }
    assert_eq!(block_on(engine.container_count()), Ok(3));
}

#[test]
fn every_filter_must_hold() {
    let engine = three();
    let id = block_on(engine.container("second", false)).unwrap().id;
    let image = block_on(engine.container("second", false))
        .unwrap()
        .image_id;
    let one = |text: &str| vec![text.to_owned()];
    let none = ContainerFilters::default;
    let cases: Vec<(ContainerFilters, &[&str])> = vec![
        (
            ContainerFilters {
                ids: one(&id[3..20]),
                ..none()
            },
            &["second"],
        ),
        (
            ContainerFilters {
                names: one("ir"),
                ..none()
            },
            &["third", "first"],
        ),
        (
            ContainerFilters {
                names: one("/fi"),
                ..none()
            },
            &["first"],
        ),
        (
            ContainerFilters {
                labels: one("x"),
                ..none()
            },
            &["third", "second", "first"],
        ),
        (
            ContainerFilters {
                labels: one("x=1"),
                ..none()
            },
            &["third", "first"],
        ),
        // The image's label.
        (
            ContainerFilters {
                labels: vec!["x=1".to_owned(), "a=1".to_owned()],
                ..none()
            },
            &["third", "first"],
        ),
        (
            ContainerFilters {
                labels: vec!["x=1".to_owned(), "x=2".to_owned()],
                ..none()
            },
            &[],
        ),
        (
            ContainerFilters {
                ancestors: one("app"),
                ..none()
            },
            &["third", "first"],
        ),
        (
            ContainerFilters {
                ancestors: one(image.as_str()),
                ..none()
            },
            &["second"],
        ),
        (
            ContainerFilters {
                ancestors: one("none"),
                ..none()
            },
            &[],
        ),
        (
            ContainerFilters {
                before: one("second"),
                ..none()
            },
            &["first"],
        ),
        (
            ContainerFilters {
                since: one("second"),
                ..none()
            },
            &["third"],
        ),
        (
            ContainerFilters {
                before: one("third"),
                since: one("first"),
                ..none()
            },
            &["second"],
        ),
    ];
    for (filters, expected) in cases {
        let text = format!("{filters:?}");
        let options = ContainerListOptions {
            all: true,
            filters,
            ..ContainerListOptions::default()
        };
        assert_eq!(names(&engine, &options), expected, "{text}");
    }
    let mut options = ContainerListOptions::default();
    options.filters.before = one("none");
    let refused = block_on(engine.containers(&options)).map(|it| it.len());
    let text = "No such container: none".to_owned();
    assert_eq!(refused, Err(Error::NotFound(text)));
}

#[test]
fn the_image_is_named_as_long_as_its_name_leads_there() {
    let engine = usual();
    let all = ContainerListOptions {
        all: true,
        size: true,
        ..ContainerListOptions::default()
    };
    let shown = || block_on(engine.containers(&all)).unwrap().remove(0);
    let summary = shown();
    assert_eq!(summary.image, "app");
    assert_eq!(summary.command, ["sh"]);
    assert_eq!(summary.labels["a"], "1");
    assert_eq!(summary.size_changed, Some(0));
    // Both names of a file that has two count once.
    let total = 9 + 29 + 23 + 5 + 1 + 1 + 7;
    assert_eq!(summary.size_total, Some(total));
    copy_in(
        &engine,
        "/",
        tar(&[file("etc/hosts", "12"), hard_link("two", "etc/hosts")]),
    )
    .unwrap();
    let summary = shown();
    assert_eq!(summary.size_changed, Some(2));
    assert_eq!(summary.size_total, Some(total - 7));
    image(&engine, "docker.io/library/app:latest", &[]);
    assert_eq!(shown().image, shown().image_id.as_str());
}

#[test]
fn a_container_has_what_was_asked_and_what_the_image_gives() {
    let engine = usual();
    let host = serde_json::value::RawValue::from_string(r#"{"Binds":[]}"#.to_owned()).unwrap();
    let mut options = CreateOptions {
        image: "app".to_owned(),
        name: Some("asked".to_owned()),
        platform: Some(platform("linux/amd64")),
        host_config: Some(host),
        ..CreateOptions::default()
    };
    options.config.cmd = Some(vec!["ls".to_owned()]);
    let created = block_on(engine.create_container(&options)).unwrap();
    assert_eq!(created.warnings, [""; 0]);
    let found = block_on(engine.container("asked", true)).unwrap();
    assert_eq!(found.id, created.id);
    assert_eq!(found.image, "app");
    assert_eq!(found.platform.format(), "linux/amd64");
    assert_eq!(found.manifest.platform, Some(found.platform.clone()));
    assert_eq!(found.config.cmd, Some(vec!["ls".to_owned()]));
    assert_eq!(found.config.env, Some(vec!["PATH=/bin".to_owned()]));
    assert_eq!(found.host_config.unwrap().get(), r#"{"Binds":[]}"#);
    assert!(found.networking_config.is_none());
    assert_eq!(found.size_changed, 0);
    assert_eq!(found.size_total, Some(75));
}

#[test]
fn an_image_must_be_whole_and_say_what_to_run() {
    let engine = usual();
    let refusal = |image: &str, platform: Option<Platform>| {
        let options = CreateOptions {
            image: image.to_owned(),
            platform,
            ..CreateOptions::default()
        };
        block_on(engine.create_container(&options)).unwrap_err()
    };
    let text = "No such image: none:latest".to_owned();
    assert_eq!(refusal("none", None), Error::NotFound(text));
    let text = "image with reference app:latest was found but does not provide the specified platform (linux/arm64)".to_owned();
    let platform = Some(platform("linux/arm64"));
    assert_eq!(refusal("app", platform), Error::PlatformMismatch(text));
    engine.store.named("docker.io/library/mute:latest", &PLAIN);
    let text = "no command specified".to_owned();
    assert_eq!(refusal("mute", None), Error::InvalidArgument(text));
    let layer = crate::memory::Memory::layer("layer");
    engine.store.lose(&layer);
    let text = "content of image mute:latest is not complete here, pull it again".to_owned();
    assert_eq!(refusal("mute", None), Error::NotFound(text));
    assert!(matches!(refusal("A B", None), Error::InvalidArgument(_)));
    assert_eq!(engine.store.leases(), 0);
}

#[test]
fn an_image_for_another_machine_gives_a_warning() {
    let engine = engine();
    let recipe = Recipe {
        platform: "linux/s390x",
        ..PLAIN
    };
    engine.store.named("docker.io/library/big:latest", &recipe);
    let mut options = CreateOptions {
        image: "big".to_owned(),
        ..CreateOptions::default()
    };
    options.config.cmd = Some(vec!["x".to_owned()]);
    let created = block_on(engine.create_container(&options)).unwrap();
    assert_eq!(
        created.warnings,
        [
            "The requested image's platform (linux/s390x) does not match the detected host platform (linux/amd64) and no specific platform was requested"
        ]
    );
    options.platform = Some(platform("linux/s390x"));
    let created = block_on(engine.create_container(&options)).unwrap();
    assert_eq!(created.warnings, [""; 0]);
}

/// What is kept of a container alone: its index, its manifest, its record.
fn own_documents(engine: &TestEngine, name: &str) -> [Digest; 3] {
    let saved = block_on(engine.find_saved(name)).unwrap();
    let index = &saved.container.target.digest;
    let image = &saved.record.manifest.digest;
    let mut own = saved.documents.keys();
    let own = own.find(|it| *it != index && *it != image).unwrap();
    [index.clone(), own.clone(), saved.config.digest]
}

/// An engine over the same store that has read nothing.
fn anew(engine: &TestEngine) -> TestEngine {
    let mut anew = super::engine();
    anew.store = engine.store.clone();
    anew
}

/// Three containers, of the second of which one document is harmed in one of three ways.
fn harmed() -> impl Iterator<Item = (TestEngine, String)> {
    (0..9).map(|case| {
        let engine = three();
        let (part, how) = (case / 3, case % 3);
        let digest = &own_documents(&engine, "second")[part];
        match how {
            0 => engine.store.damage(digest),
            1 => engine.store.hide(digest),
            _ => engine.store.lose(digest),
        }
        let engine = anew(&engine);
        let what = if how == 2 { "missing" } else { "damaged: " };
        (engine, format!("blob {digest} is {what}"))
    })
}

#[test]
fn one_container_that_cannot_be_read_is_listed_and_hides_no_other() {
    for (engine, reason) in harmed() {
        let options = ContainerListOptions {
            all: true,
            size: true,
            ..ContainerListOptions::default()
        };
        // Once it comes to light, and once it is known.
        for _ in 0..2 {
            let listed = block_on(engine.containers(&options)).unwrap();
            let listed = listed
                .iter()
                .map(|it| (it.name.as_str(), it.damaged.as_deref()));
            let full = block_on(engine.containers_in_full()).unwrap();
            let full = full
                .iter()
                .map(|it| (it.name.as_str(), it.damaged.as_deref()));
            for mut listed in [listed.collect::<Vec<_>>(), full.collect()] {
                listed.sort_unstable();
                let [first, second, third] = listed[..] else {
                    panic!("{listed:?}");
                };
                assert_eq!([first, third], [("first", None), ("third", None)]);
                assert_eq!(second.0, "second");
                let said = second.1.unwrap();
                assert!(said.starts_with(&reason), "{said}: {reason}");
            }
        }
        // Nor does it keep others from being compared with it.
        let mut options = options;
        options.filters.since = vec!["second".to_owned()];
        block_on(engine.containers(&options)).unwrap();
    }
}

#[test]
fn what_is_said_of_a_damaged_container_fits_one() {
    for (engine, reason) in harmed() {
        for _ in 0..2 {
            let error = block_on(engine.container("second", false)).unwrap_err();
            let Error::Damaged(text) = error else {
                panic!("{error:?}");
            };
            let start = format!("container second is damaged: {reason}");
            assert!(text.starts_with(&start), "{text}");
            assert!(
                text.ends_with("; remove it with `docker rm second` or `strata rm second`"),
                "{text}"
            );
            assert!(!text.contains("pull"), "{text}");
        }
    }
}

#[test]
fn a_damaged_container_can_be_removed_by_each_of_its_names() {
    for by_id in [false, true] {
        for (engine, reason) in harmed() {
            let all = ContainerListOptions {
                all: true,
                ..ContainerListOptions::default()
            };
            let listed = block_on(engine.containers(&all)).unwrap();
            let second = listed.into_iter().find(|it| it.name == "second").unwrap();
            let name = if by_id { second.id } else { second.name };
            block_on(engine.remove_container(&name)).unwrap();
            let mut left = names(&engine, &all);
            left.sort();
            assert_eq!(left, ["first", "third"], "{reason}");
        }
    }
}

#[test]
fn a_container_of_a_damaged_image_is_whole_and_says_what_to_pull() {
    let engine = three();
    let saved = block_on(engine.find_saved("second")).unwrap();
    engine.store.damage(&saved.record.manifest.digest);
    let engine = anew(&engine);
    for _ in 0..2 {
        let listed = block_on(engine.containers_in_full()).unwrap();
        assert!(listed.iter().all(|it| it.damaged.is_none()), "{listed:?}");
        let error = block_on(engine.container("second", true)).unwrap_err();
        let Error::NotFound(text) = error else {
            panic!("{error:?}");
        };
        assert!(
            text.ends_with("is missing or damaged, pull other:1 again"),
            "{text}"
        );
    }
}

#[test]
fn a_container_whose_layers_are_gone_is_listed_without_its_size() {
    let engine = three();
    let saved = block_on(engine.find_saved("first")).unwrap();
    let layer = saved.image_manifest().unwrap().layers[0].digest.clone();
    engine.store.lose(&layer);
    let options = ContainerListOptions {
        all: true,
        size: true,
        ..ContainerListOptions::default()
    };
    let listed = block_on(engine.containers(&options)).unwrap();
    let sizes: Vec<_> = listed.iter().map(|it| it.size_total).collect();
    assert_eq!(sizes, [None, Some(0), None]);
}

#[test]
fn labels_of_many_heavy_containers_do_not_make_the_listing_fail() {
    let engine = usual();
    let heavy = "x".repeat(500_000);
    let count = 110;
    for n in 0..count {
        let options = CreateOptions {
            image: "app".to_owned(),
            name: Some(format!("heavy{n}")),
            config: ContainerConfig {
                labels: Some([("heavy".to_owned(), heavy.clone())].into()),
                ..ContainerConfig::default()
            },
            ..CreateOptions::default()
        };
        block_on(engine.create_container(&options)).unwrap();
    }
    let mut options = ContainerListOptions {
        all: true,
        ..ContainerListOptions::default()
    };
    let listed = block_on(engine.containers(&options)).unwrap();
    assert_eq!(listed.len(), count + 1);
    let labels = listed.iter().flat_map(|it| it.labels.values());
    let bytes: usize = labels.map(String::len).sum();
    assert!((20 << 20..=48 << 20).contains(&bytes), "{bytes}");
    // Filters see all of them.
    options.filters.labels = vec!["heavy".to_owned()];
    assert_eq!(block_on(engine.containers(&options)).unwrap().len(), count);
}
