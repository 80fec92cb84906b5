//! `GET /containers/json`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;
use strata_engine::{ContainerListOptions, ContainerSummary, Host};
use strata_http::Reply;
use strata_oci::{Descriptor, Digest, json::Members};

use super::{CREATED, filters::ListFilters, host, networks::Networks};
use crate::{Asked, failure::Failure, query, reply, version::ApiVersion};

/// What a listing needs of the host config.
const HOST_MEMBERS: [&str; 2] = ["Annotations", "NetworkMode"];

/// Answers a listing.
///
/// # Errors
/// 400 for parameters, else the engine's.
pub(crate) async fn list<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let filters = ListFilters::read(asked.query.text("filters"))?;
    let limit = limit(asked.query.text("limit"))?;
    let options = ContainerListOptions {
        all: asked.boolean("all") || limit.is_some(),
        // Counted below what the engine cannot tell.
        limit: limit.filter(|_| filters.is_engines()),
        size: asked.boolean("size"),
        filters: filters.engine.clone(),
        host_members: &HOST_MEMBERS,
    };
    let mut containers = asked.engine.containers(&options).await?;
    containers.retain(|container| filters.matches(container));
    containers.truncate(limit.unwrap_or(usize::MAX));
    let entries: Vec<_> = containers
        .iter()
        .map(|container| Entry::new(container, asked.version))
        .collect();
    reply::json(&entries)
}

/// How many to list; zero and less is all.
fn limit(text: &str) -> Result<Option<usize>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let limit = query::integer(text).map_err(Failure::invalid)?;
    Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0))
}

/// One element, in the shape of one API version.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    id: &'a str,
    names: [String; 1],
    image: &'a str,
    #[serde(rename = "ImageID")]
    image_id: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    image_manifest_descriptor: Option<&'a Descriptor>,
    command: String,
    created: i64,
    ports: [(); 0],
    #[serde(skip_serializing_if = "Option::is_none")]
    size_rw: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size_root_fs: Option<u64>,
    labels: &'a BTreeMap<String, String>,
    /// Not Docker's: why the container cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    damaged: Option<&'a str>,
    state: &'static str,
    status: &'static str,
    host_config: HostConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    health: Option<Health>,
    network_settings: Joined,
    mounts: [(); 0],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<Box<RawValue>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Health {
    status: &'static str,
    failing_streak: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Joined {
    networks: Networks,
}

impl<'a> Entry<'a> {
    fn new(container: &'a ContainerSummary, version: ApiVersion) -> Self {
        let given = container.host_config.as_deref();
        let given = given.map(Members::of).unwrap_or_default();
        let annotations = given.get("Annotations").filter(|_| version.at_least(46));
        let health = Health {
            status: "none",
            failing_streak: 0,
        };
        Self {
            id: &container.id,
            names: [format!("/{}", container.name)],
            image: &container.image,
            image_id: &container.image_id,
            image_manifest_descriptor: version.at_least(48).then_some(&container.manifest),
            command: command(&container.command),
            created: container.created,
            ports: [],
            size_rw: container.size_changed,
            size_root_fs: container.size_total,
            labels: &container.labels,
            damaged: container.damaged.as_deref(),
            state: CREATED,
            status: "Created",
            host_config: HostConfig {
                network_mode: host::network_mode(&given),
                annotations: annotations.map(RawValue::to_owned),
            },
            health: version.at_least(52).then_some(health),
            network_settings: Joined {
                networks: Networks::new(&given, &Members::default()),
            },
            mounts: [],
        }
    }
}

/// A command as people read it.
fn command(words: &[String]) -> String {
    let Some((path, args)) = words.split_first() else {
        return String::new();
    };
    let args = args.iter().map(|arg| match arg.contains(' ') {
        true => format!(" '{arg}'"),
        false => format!(" {arg}"),
    });
    args.fold(path.clone(), |command, arg| command + &arg)
}
