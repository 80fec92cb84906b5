//! `POST /images/{name}/tag`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageTag>

use http::StatusCode;
use strata_engine::{Error, Host};
use strata_http::Reply;
use strata_oci::Reference;

use super::tagged;
use crate::{Asked, failure::Failure};

/// Gives an image another name: 201 without a body.
///
/// # Errors
/// 400 for the target, 404 for anything wrong with the source, else the engine's.
pub(crate) async fn tag<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let repository = asked.query.text("repo");
    if repository.is_empty() {
        // dockerd does nothing here, and says that it succeeded.
        return Ok(Reply::empty(StatusCode::OK));
    }
    let target = target(repository, asked.query.text("tag"))?;
    let outcome = asked.engine.tag(asked.name, &target).await;
    outcome.map_err(|error| match error {
        // The target is valid, so this is about the source, and a name no image can have is not found.
        Error::InvalidArgument(message) => Failure::not_found(message),
        error => error.into(),
    })?;
    Ok(Reply::empty(StatusCode::CREATED))
}

fn target(repository: &str, tag: &str) -> Result<Reference, Failure> {
    let target = tagged(repository, tag)?;
    if target.familiar_repository() == "sha256" {
        return Err(Failure::invalid(
            "refusing to create an ambiguous tag using digest algorithm as name",
        ));
    }
    Ok(target.with_default_tag())
}
