//! `GET /images/{name}/history`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageHistory>

use serde::Serialize;
use strata_engine::{HistoryEntry, Host};
use strata_http::Reply;
use strata_oci::Digest;

use super::platform_json;
use crate::{Asked, failure::Failure, reply};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Step<'a> {
    comment: &'a str,
    created: i64,
    created_by: &'a str,
    id: &'a str,
    size: u64,
    /// Tags; null when there are none.
    tags: Option<&'a [String]>,
}

/// Answers with the steps, newest first; null if the image records none.
///
/// # Errors
/// 400 for parameters, else the engine's.
pub(crate) async fn history<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let platform = match asked.version.at_least(48) {
        true => platform_json(asked.query.text("platform"))?,
        false => None,
    };
    let entries = asked.engine.history(asked.name, platform.as_ref()).await?;
    let steps: Vec<Step<'_>> = entries.iter().map(Step::new).collect();
    reply::json(&(!steps.is_empty()).then_some(steps))
}

impl<'a> Step<'a> {
    fn new(entry: &'a HistoryEntry) -> Self {
        Self {
            comment: &entry.comment,
            created: entry.created,
            created_by: &entry.created_by,
            id: entry.id.as_ref().map_or("<missing>", Digest::as_str),
            size: entry.size,
            tags: (!entry.tags.is_empty()).then_some(&entry.tags),
        }
    }
}
