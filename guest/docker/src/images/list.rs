//! `GET /images/json` (§4.1 of the contract).

use std::collections::BTreeMap;

use serde::Serialize;
use strata_engine::{ImageSummary, ListOptions};
use strata_oci::{Descriptor, Digest};

use super::{filters, manifest::Manifest};
use crate::{
    failure::Failure, operations::Operations, query::Query, reply::Reply, version::ApiVersion,
};

/// What dockerd says where it does not count or compute.
const NOT_COMPUTED: i64 = -1;
const NO_TAGS: [&str; 1] = ["<none>:<none>"];
const NO_DIGESTS: [&str; 1] = ["<none>@<none>"];

/// Answers a listing. Nothing of `all` and `digests` needs doing: there are no intermediate images, and
/// digests are always told.
///
/// # Errors
/// 400 for parameters, else the engine's.
pub(crate) async fn list<O: Operations>(
    operations: &O,
    version: ApiVersion,
    query: &Query,
) -> Result<Reply, Failure> {
    let manifests = version.at_least(47) && query.boolean("manifests");
    if version.at_least(54) && query.boolean("identity") && !manifests {
        return Err(Failure::invalid(
            "conflicting options: identity requires manifests=1",
        ));
    }
    let (now, _) = operations.now();
    let mut filters = filters::for_list(query.text("filters"), now)?;
    // Before 1.41 one name pattern had a parameter of its own.
    if !version.at_least(41) && !query.text("filter").is_empty() {
        filters.references.push(query.text("filter").to_owned());
    }
    let options = ListOptions {
        filters,
        shared_size: version.at_least(42) && query.boolean("shared-size"),
        manifests,
    };
    let images = operations.list(&options).await?;
    let entries: Vec<Entry<'_>> = images
        .iter()
        .map(|image| Entry::new(image, version))
        .collect();
    Reply::json(&entries)
}

/// One element, in the shape of one API version.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<'a> {
    containers: i64,
    created: i64,
    id: &'a Digest,
    labels: Option<&'a BTreeMap<String, String>>,
    parent_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    descriptor: Option<&'a Descriptor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manifests: Vec<Manifest<'a>>,
    repo_digests: Names<'a>,
    repo_tags: Names<'a>,
    shared_size: i64,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    virtual_size: Option<u64>,
}

/// Names, or what stood for none before 1.43.
#[derive(Serialize)]
#[serde(untagged)]
enum Names<'a> {
    Given(&'a [String]),
    Missing([&'static str; 1]),
}

impl<'a> Names<'a> {
    fn new(names: &'a [String], placeholder: [&'static str; 1], version: ApiVersion) -> Self {
        if names.is_empty() && !version.at_least(43) {
            Self::Missing(placeholder)
        } else {
            Self::Given(names)
        }
    }
}

impl<'a> Entry<'a> {
    fn new(image: &'a ImageSummary, version: ApiVersion) -> Self {
        let containers = image.containers.filter(|_| version.at_least(51));
        let shared_size = image.shared_size.and_then(|size| i64::try_from(size).ok());
        Self {
            containers: containers.map_or(NOT_COMPUTED, i64::from),
            created: image.created,
            id: &image.target.digest,
            labels: image.labels.as_ref(),
            parent_id: image.parent.as_ref().map_or("", Digest::as_str),
            descriptor: version.at_least(48).then_some(&image.target),
            manifests: image.manifests.iter().map(Manifest::new).collect(),
            repo_digests: Names::new(&image.digests, NO_DIGESTS, version),
            repo_tags: Names::new(&image.tags, NO_TAGS, version),
            shared_size: shared_size.unwrap_or(NOT_COMPUTED),
            size: image.size,
            virtual_size: (!version.at_least(44)).then_some(image.size),
        }
    }
}
