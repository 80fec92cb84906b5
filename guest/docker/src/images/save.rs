//! `GET /images/get` and `GET /images/{name}/get` (§4.11 of the contract).

use http::HeaderMap;
use strata_engine::SaveOptions;

use super::archive_platforms;
use crate::{
    archive::Sink,
    failure::Failure,
    operations::Operations,
    output::{Gone, Output},
    query::Query,
    version::ApiVersion,
};

/// A save whose parameters are in order.
pub(crate) struct Save(SaveOptions);

impl Save {
    /// Reads the parameters; the path may hold the only name.
    ///
    /// # Errors
    /// 400 for platforms.
    pub(crate) fn new(
        version: ApiVersion,
        query: &Query,
        name: Option<&str>,
    ) -> Result<Self, Failure> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => query.all("names").map(str::to_owned).collect(),
        };
        Ok(Self(SaveOptions {
            names,
            platforms: archive_platforms(version, query)?,
        }))
    }
}

/// Sends an archive. `headers` are those of the archive.
///
/// # Errors
/// The inner failure if nothing was sent yet; later ones break the response off. [`Gone`] if the client
/// left.
pub(crate) async fn save<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    Save(options): &Save,
    headers: HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let mut sink = Sink::new(output, headers);
    let outcome = operations.save(options, &mut sink).await;
    sink.finish(outcome).await
}
