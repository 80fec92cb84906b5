//! `GET /images/get` and `GET /images/{name}/get`.
//!
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageGet>

use strata_engine::{Host, SaveOptions, Silent};
use strata_http::{Archive, Output};

use super::archive_platforms;
use crate::{Answer, Asked};

/// Sends an archive of images.
///
/// # Errors
/// 400 for platforms, else the engine's; once anything is sent they break the response off.
pub(crate) async fn save<H: Host, W: Output<Body = H::Body>>(
    asked: &Asked<'_, H>,
    names: Vec<String>,
    output: &mut W,
) -> Answer {
    let options = SaveOptions {
        names,
        platforms: archive_platforms(asked)?,
    };
    let mut archive = Archive::new(output, asked.growing("application/x-tar"));
    let saved = asked.engine.save(&options, &mut archive, &Silent).await;
    archive.finish(saved).await??;
    Ok(None)
}
