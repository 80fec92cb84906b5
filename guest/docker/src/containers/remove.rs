//! `DELETE /containers/{id}` and `POST /containers/prune`.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Serialize;
use strata_engine::{ContainerListOptions, Error, Host};
use strata_http::Reply;
use strata_oci::filter::{FilterError, Filters};

use crate::{Asked, failure::Failure, images::until, reply};

const PRUNE_KEYS: [&str; 3] = ["label", "label!", "until"];

/// Removes a container: 204. Nothing of `force`, `v` and `link` needs doing: nothing runs, and there are
/// no volumes and no links.
///
/// # Errors
/// The engine's.
pub(crate) async fn remove<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    asked.engine.remove_container(asked.name).await?;
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
pub(crate) async fn prune<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let invalid = |error: FilterError| Failure::invalid(error.to_string());
    let filters = Filters::parse(asked.query.text("filters")).map_err(invalid)?;
    filters.validate(&PRUNE_KEYS).map_err(invalid)?;
    let (now, _) = asked.engine.now();
    let until = until(&filters, now)?;
    let options = ContainerListOptions {
        all: true,
        ..ContainerListOptions::default()
    };
    let mut pruned = Pruned::default();
    for container in asked.engine.containers(&options).await? {
        let is_newer = until.is_some_and(|until| container.created > until);
        // Of one that cannot be read nobody knows whether it has the label that spares it.
        let is_unknown = container.damaged.is_some() && filters.contains("label!");
        if is_newer || is_unknown || !matches(&filters, &container.labels) {
            continue;
        }
        match remove_one(asked, &container.id).await {
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
    reply::json(&pruned)
}

/// Removes a container; returns the bytes of what was changed in it.
async fn remove_one<H: Host>(asked: &Asked<'_, H>, id: &str) -> Result<u64, Error> {
    let container = asked.engine.container(id, false).await;
    // One that cannot be read goes all the same.
    let size = container.map_or(0, |it| it.size_changed);
    asked.engine.remove_container(id).await?;
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
