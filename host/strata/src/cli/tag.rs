//! `strata tag`.

use strata::Engine;

use super::Outcome;
use super::arguments::Tag;

/// Gives an image another name. Silent, as is docker.
pub(crate) async fn run(engine: &Engine, arguments: Tag) -> anyhow::Result<Outcome> {
    engine.tag(&arguments.source, &arguments.target).await?;
    Ok(Outcome::Done)
}
