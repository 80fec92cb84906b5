//! `DELETE /images/{name}` and `POST /images/prune`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageDelete>,
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImagePrune>

use serde::Serialize;
use strata_engine::{Host, Removal, RemoveOptions};
use strata_http::Reply;
use strata_oci::{Digest, Platform};

use super::{filters, parse_platform_json};
use crate::{Asked, failure::Failure, reply};

/// One thing that was done: an object with exactly one key.
#[derive(Serialize)]
enum Step<'a> {
    Untagged(&'a str),
    Deleted(&'a Digest),
}

/// The answer to a prune; its list is null when nothing was removed.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Pruned<'a> {
    images_deleted: Option<Vec<Step<'a>>>,
    space_reclaimed: u64,
}

/// Removes an image or one of its names.
///
/// # Errors
/// 400 for parameters, else the engine's.
pub(crate) async fn remove<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    if asked.name.trim().is_empty() {
        return Err(Failure::invalid("image name cannot be blank"));
    }
    let force = asked.boolean("force");
    let platforms: Vec<Platform> = match asked.version.at_least(50) {
        true => asked
            .query
            .all("platforms")
            .map(parse_platform_json)
            .collect::<Result<_, _>>()?,
        false => Vec::new(),
    };
    if !platforms.is_empty() && !force {
        // dockerd's own punctuation.
        return Err(Failure::invalid(
            "Content will be removed from all images referencing this variant. Use \u{2014}-force to force delete.",
        ));
    }
    let options = RemoveOptions {
        force,
        no_prune: asked.boolean("noprune"),
        platforms,
    };
    let removals = asked.engine.remove(asked.name, &options).await?;
    reply::json(&steps(&removals))
}

/// Removes the images nothing uses.
///
/// # Errors
/// 400 for filters, else the engine's.
pub(crate) async fn prune<H: Host>(asked: &Asked<'_, H>) -> Result<Reply, Failure> {
    let (now, _) = asked.engine.now();
    let filters = filters::for_prune(asked.query.text("filters"), now)?;
    let pruned = asked.engine.prune(&filters).await?;
    let images_deleted = steps(&pruned.removals);
    reply::json(&Pruned {
        images_deleted: (!images_deleted.is_empty()).then_some(images_deleted),
        space_reclaimed: pruned.reclaimed,
    })
}

fn steps(removals: &[Removal]) -> Vec<Step<'_>> {
    let steps = removals.iter().map(|removal| match removal {
        Removal::Untagged(name) => Step::Untagged(name),
        Removal::Deleted(digest) => Step::Deleted(digest),
    });
    steps.collect()
}
