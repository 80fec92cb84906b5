//! Names after an import.

use super::*;
use crate::{
    Error,
    catalog::fixture::{PLAIN, Recipe},
};

const NAME: &str = "docker.io/library/a:latest";

#[test]
fn a_name_without_tag_gets_latest_and_no_name_a_hidden_one() {
    for (name, expected) in [
        ("a", "docker.io/library/a:latest"),
        ("a:1", "docker.io/library/a:1"),
        ("r.example/a/b:1", "r.example/a/b:1"),
    ] {
        let bench = Bench::new();
        let id = bench.import(name, &root()).unwrap();
        assert_eq!(bench.store.names_of("images"), [expected]);
        assert_eq!(bench.store.target_of(expected), Some(id));
    }
    let bench = Bench::new();
    let id = bench.import("", &root()).unwrap();
    let dangling = format!("moby-dangling@{id}");
    assert_eq!(bench.store.names_of("images"), [dangling]);
    let size = root().len();
    assert_eq!(
        bench.events.brief(),
        [
            "downloading 0/0".to_owned(),
            format!("downloaded {size}/{size}")
        ]
    );
}

#[test]
fn the_image_a_name_moves_away_from_stays_dangling() {
    let bench = Bench::new();
    let first = bench.import("a", &root()).unwrap();
    let second = bench.import("a", &tar(&[])).unwrap();
    let dangling = format!("moby-dangling@{first}");
    assert_eq!(bench.store.names_of("images"), [NAME, &dangling]);
    assert_eq!(bench.store.target_of(NAME), Some(second));
}

#[test]
fn a_name_that_others_change_meanwhile_is_set_all_the_same() {
    let bench = Bench::new();
    for _ in 0..3 {
        bench.store.before("apply", |store| {
            let recipe = Recipe {
                created: "",
                ..PLAIN
            };
            store.named("docker.io/library/other:1", &recipe);
        });
    }
    let id = bench.import("a", &root()).unwrap();
    assert_eq!(bench.store.target_of(NAME), Some(id));
}

#[test]
fn names_that_never_stop_changing_end_the_import_without_one() {
    let bench = Bench::new();
    let arm = Recipe {
        platform: "linux/arm64",
        ..PLAIN
    };
    let old = bench.store.named(NAME, &arm);
    // The image that loses its name gets another one, unless somebody else gives it one.
    for _ in 0..crate::naming::MAX_TRIES {
        bench.store.before("apply", |store| {
            let target = store.image(&PLAIN);
            store.name("images", "docker.io/library/other:1", &target, &[]);
        });
    }
    let error = bench.import("a", &root()).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error:?}");
    assert_eq!(bench.store.target_of(NAME), Some(old.digest));
}
