use std::rc::Rc;

use futures::executor::block_on;
use serde_json::json;
use strata_oci::{Digest, media_type};

use super::fixture::{
    PLAIN, Recipe, TestEngine, attestation, engine, engine_of, entry, platform, pointer,
};
use crate::{
    Error, Filters, ImageSummary, InspectOptions, ListOptions, Listed, ManifestKind, Target,
    memory::Memory,
};

mod heavy;
mod history;
mod inspect;
mod list;
mod resolve;
mod settled;

fn list(engine: &TestEngine, filters: Filters) -> Vec<Rc<ImageSummary>> {
    let options = ListOptions {
        filters,
        shared_size: true,
        manifests: true,
    };
    block_on(engine.list(&options)).unwrap()
}

fn label(engine: &TestEngine, image: &ImageSummary, key: &str) -> Option<String> {
    let labels = block_on(engine.labels(image)).unwrap();
    labels?.get(key).map(str::to_owned)
}

fn tags(engine: &TestEngine, filters: Filters) -> Vec<Vec<String>> {
    let summaries = list(engine, filters).into_iter();
    summaries.map(|summary| summary.tags.clone()).collect()
}

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

/// Three tagged images of different ages, the middle one with three names, and a
/// dangling one.
fn gallery() -> (TestEngine, [Target; 4]) {
    let engine = engine();
    let store = &engine.store;
    let recipe = |created, layers, labels| Recipe {
        created,
        layers,
        labels,
        ..PLAIN
    };
    store.at(1_000_000);
    let old = store.named(
        "docker.io/library/old:1",
        &recipe("2020-01-01T00:00:00Z", &["base", "1"], &[("a", "1")]),
    );
    store.at(2_000_000);
    let middle = recipe(
        "2021-01-01T00:00:00.5Z",
        &["base", "2"],
        &[("a", "2"), ("b", "")],
    );
    let middle = store.named("docker.io/library/alpine:3", &middle);
    store.name("images", "docker.io/library/alpine:latest", &middle, &[]);
    store.name("images", "ghcr.io/org/app:1", &middle, &[]);
    store.at(3_000_000);
    let new = store.named(
        "docker.io/user/new:latest",
        &recipe("2022-01-01T00:00:00Z", &["base", "3"], &[]),
    );
    let dangling = store.image(&recipe(
        "2023-01-01T00:00:00Z",
        &["base", "4"],
        &[("c", "")],
    ));
    let name = format!("moby-dangling@{}", dangling.digest);
    store.name("images", &name, &dangling, &[]);
    (engine, [old, middle, new, dangling])
}
