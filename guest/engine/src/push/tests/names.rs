//! Which names are pushed.

use super::super::testing::{Bench, layer, options};
use crate::{Error, PushOptions};

fn all_tags(reference: &str) -> PushOptions {
    PushOptions {
        all_tags: true,
        ..options(reference)
    }
}

#[test]
fn all_tags_of_the_repository_are_pushed_and_share_what_they_share() {
    let bench = Bench::new();
    bench.image("r.example/app:2", "amd64", &[layer(1, 300), layer(2, 300)]);
    let one = bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
    bench.store.name("images", "r.example/app:old", &one, &[]);
    bench.store.name(
        "images",
        &format!("r.example/app@{}", one.digest),
        &one,
        &[],
    );
    bench.image("r.example/apple:1", "amd64", &[layer(9, 300)]);
    let done = bench.push_with(&all_tags("r.example/app")).unwrap();
    let names: Vec<String> = done.iter().map(|it| it.reference.familiar()).collect();
    assert_eq!(
        names,
        ["r.example/app:1", "r.example/app:2", "r.example/app:old"]
    );
    let asked = bench.asked();
    let shared = strata_oci::Digest::sha256(&layer(1, 300));
    let asked_for_shared = asked
        .iter()
        .filter(|line| line.starts_with("HEAD") && line.contains(shared.short()));
    assert_eq!(asked_for_shared.count(), 1, "{asked:#?}");
    let brief = bench.events.brief();
    let resolved: Vec<_> = brief
        .iter()
        .filter(|it| it.starts_with("resolved"))
        .collect();
    assert_eq!(resolved.len(), 3);
}

#[test]
fn without_all_tags_a_bare_name_is_latest() {
    let bench = Bench::new();
    bench.image("r.example/app:latest", "amd64", &[layer(1, 300)]);
    bench.image("r.example/app:1", "amd64", &[layer(2, 300)]);
    let done = bench.push("r.example/app").unwrap();
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].reference.to_string(), "r.example/app:latest");
    // A tag beside `all_tags` is that tag.
    let done = bench.push_with(&all_tags("r.example/app:1")).unwrap();
    assert_eq!(done.len(), 1);
}

#[test]
fn a_name_that_is_not_here_is_not_found_before_any_request() {
    let bench = Bench::new();
    bench.image("r.example/app:1", "amd64", &[layer(1, 300)]);
    for (options, text) in [
        (options("foo:bar"), "tag does not exist: foo:bar"),
        (
            options("r.example/app"),
            "tag does not exist: r.example/app:latest",
        ),
        (
            all_tags("foo"),
            "An image does not exist locally with the tag: foo",
        ),
    ] {
        let error = bench.push_with(&options).unwrap_err();
        assert_eq!(error, Error::NotFound(text.to_owned()));
    }
    assert!(bench.asked().is_empty());
}

#[test]
fn a_digest_is_pushed_without_a_tag() {
    let bench = Bench::new();
    let target = bench.unnamed("amd64", &[layer(1, 300)]);
    let name = format!("r.example/app@{}", target.digest);
    bench.store.name("images", &name, &target, &[]);
    bench.push(&name).unwrap();
    let asked = bench.asked();
    let put = format!("PUT app/manifests/{}", target.digest.short());
    assert_eq!(asked.last(), Some(&put));
}
