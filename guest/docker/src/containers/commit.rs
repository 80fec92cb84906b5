//! `POST /commit`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageCommit>

use http::StatusCode;
use serde::Serialize;
use strata_engine::{CommitOptions, Host, Silent};
use strata_http::{Reply, RequestBody, object};
use strata_oci::Digest;

use super::{config, unnamed};
use crate::{Asked, failure::Failure, images::new_name, reply};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer<'a> {
    id: &'a Digest,
}

/// Makes an image from a container: 201. Nothing of `pause` needs doing: nothing runs.
///
/// # Errors
/// 400 for body and parameters, else the engine's.
pub(crate) async fn commit<H: Host>(
    asked: &Asked<'_, H>,
    body: &RequestBody<H::Body>,
) -> Result<Reply, Failure> {
    let query = &asked.query;
    let config = match object(asked.headers, body)? {
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
    let id = asked.engine.commit(container, &options, &Silent).await?;
    Ok(reply::json(&Answer { id: &id })?.with_status(StatusCode::CREATED))
}
