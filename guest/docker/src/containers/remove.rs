//! `DELETE /containers/{id}` and `POST /containers/prune`.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use strata_engine::{ContainerListOptions, Error};
use strata_oci::filter::{FilterError, Filters};

use crate::{failure::Failure, images::until, operations::Operations, query::Query, reply::Reply};

const PRUNE_KEYS: [&str; 3] = ["label", "label!", "until"];

/// Removes a container: 204. Nothing of `force`, `v` and `link` needs doing: nothing runs, and there are
/// no volumes and no links.
///
/// # Errors
/// The engine's.
pub(crate) async fn remove<O: Operations>(operations: &O, name: &str) -> Result<Reply, Failure> {
    operations.remove_container(name).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// Null when nothing was removed.
#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pruned {
    containers_deleted: Option<Vec<String>>,
    space_reclaimed: u64,
}

/// Removes the containers that do not run: all that the filters let through.
///
/// # Errors
/// 400 for filters, else the engine's.
pub(crate) async fn prune<O: Operations>(operations: &O, query: &Query) -> Result<Reply, Failure> {
    let invalid = |error: FilterError| Failure::invalid(error.to_string());
    let filters = Filters::parse(query.text("filters")).map_err(invalid)?;
    filters.validate(&PRUNE_KEYS).map_err(invalid)?;
    let (now, _) = operations.now();
    let until = until(&filters, now)?;
    let options = ContainerListOptions {
        all: true,
        ..ContainerListOptions::default()
    };
    let mut pruned = Pruned::default();
    for container in operations.containers(&options).await? {
        let is_newer = until.is_some_and(|until| container.created > until);
        // Of one that cannot be read nobody knows whether it has the label that spares it.
        let is_unknown = container.damaged.is_some() && filters.contains("label!");
        if is_newer || is_unknown || !matches(&filters, &container.labels) {
            continue;
        }
        match remove_one(operations, &container.id).await {
            Ok(size) => {
                pruned.space_reclaimed = pruned.space_reclaimed.saturating_add(size);
                let deleted = pruned.containers_deleted.get_or_insert_default();
                deleted.push(container.id);
            }
            // Somebody else was faster, or is at work in it.
            Err(Error::NotFound(_) | Error::Conflict(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Reply::json(&pruned)
}

/// Removes a container; returns the bytes of what was changed in it.
async fn remove_one<O: Operations>(operations: &O, id: &str) -> Result<u64, Error> {
    let container = operations.container(id, false).await;
    // One that cannot be read goes all the same.
    let size = container.map_or(0, |it| it.size_changed);
    operations.remove_container(id).await?;
    Ok(size)
}

/// Whether all labels match, and not all of those that must not.
fn matches(filters: &Filters, labels: &BTreeMap<String, String>) -> bool {
    let has_all = |key| {
        let mut conditions = filters.get(key).iter();
        conditions.all(|condition| match condition.split_once('=') {
            Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
            None => labels.contains_key(condition),
        })
    };
    has_all("label") && !(filters.contains("label!") && has_all("label!"))
}
