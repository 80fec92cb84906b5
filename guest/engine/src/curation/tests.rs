use futures::executor::block_on;
use serde_json::json;
use strata_oci::{Digest, Reference, media_type};

use crate::{
    Error, Filters, Pruned, Removal, RemoveOptions, Store as _, Target,
    catalog::fixture::{PLAIN, Recipe, TestEngine, attestation, engine, entry, platform},
    memory::Memory,
};

const FORCE: RemoveOptions = RemoveOptions {
    force: true,
    no_prune: false,
    platforms: Vec::new(),
};

mod damage;
mod prune;
mod race;
mod referrers;
mod remove;
mod storm;
mod tag;

fn untagged(name: &str) -> Removal {
    Removal::Untagged(name.to_owned())
}

fn deleted(target: &Target) -> Removal {
    Removal::Deleted(target.digest.clone())
}

fn conflict<T>(text: String) -> Result<T, Error> {
    Err(Error::Conflict(text))
}

fn dangling(target: &Target) -> String {
    format!("moby-dangling@{}", target.digest)
}

fn with_layers<'a>(layers: &'a [&'a str]) -> Recipe<'a> {
    Recipe { layers, ..PLAIN }
}

fn tag(engine: &TestEngine, source: &str, target: &str) -> Result<(), Error> {
    block_on(engine.tag(source, &Reference::parse(target).unwrap()))
}

fn prune(engine: &TestEngine, filters: Filters) -> Pruned {
    block_on(engine.prune(&filters)).unwrap()
}

const ALL: Filters = Filters {
    references: Vec::new(),
    labels: Vec::new(),
    without_labels: Vec::new(),
    dangling: Some(false),
    before: Vec::new(),
    since: Vec::new(),
    until: None,
};
