//! `POST /commit` (§4.13 of the contract).

use http::{HeaderMap, StatusCode};
use serde::Serialize;
use strata_engine::CommitOptions;
use strata_oci::Digest;

use super::{config, unnamed};
use crate::{
    body, failure::Failure, images::new_name, operations::Operations, output::RequestBody,
    query::Query, reply::Reply,
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    id: &'a Digest,
}

/// Makes an image from a container: 201. Nothing of `pause` needs doing: nothing runs.
///
/// # Errors
/// 400 for body and parameters, else the engine's.
pub(crate) async fn commit<O: Operations>(
    operations: &O,
    query: &Query,
    headers: &HeaderMap,
    body: &RequestBody<O::Body>,
) -> Result<Reply, Failure> {
    let config = match body::object(headers, body)? {
        Some(members) => config::read(&members)?,
        None => None,
    };
    let reference = new_name(query)?;
    let container = query.text("container");
    if container.is_empty() {
        return Err(unnamed());
    }
    let options = CommitOptions {
        reference,
        comment: query.text("comment").to_owned(),
        author: query.text("author").to_owned(),
        changes: query.all("changes").map(str::to_owned).collect(),
        config,
    };
    let id = operations.commit(container, &options).await?;
    Ok(Reply::json(&Answer { id: &id })?.with_status(StatusCode::CREATED))
}
