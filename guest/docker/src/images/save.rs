//! `GET /images/get` and `GET /images/{name}/get` (§4.11 of the contract).

use http::{HeaderMap, StatusCode};
use strata_engine::{ArchiveSink, Error, SaveOptions};

use super::archive_platforms;
use crate::{
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
    let mut sink = Sink {
        output,
        head: Some(headers),
        is_gone: false,
    };
    let outcome = operations.save(options, &mut sink).await;
    match (outcome, &sink) {
        (_, Sink { is_gone: true, .. }) => return Err(Gone),
        (Err(error), Sink { head: Some(_), .. }) => return Ok(Err(error.into())),
        // dockerd writes its error into the archive and reports success.
        (Err(_), _) => sink.output.abort().await,
        (Ok(()), _) => sink.begin().await?,
    }
    Ok(Ok(()))
}

/// The body of the response.
struct Sink<'a, W> {
    output: &'a mut W,
    /// Until the first byte, so that a failure before it has its status.
    head: Option<HeaderMap>,
    /// The client left. The engine only knows that nobody takes the archive any more.
    is_gone: bool,
}

impl<W: Output> Sink<'_, W> {
    /// Sends the head unless it was.
    async fn begin(&mut self) -> Result<(), Gone> {
        match self.head.take() {
            Some(headers) => self.output.head(StatusCode::OK, headers).await,
            None => Ok(()),
        }
    }

    /// Passes on how sending went.
    fn sent<T>(&mut self, outcome: Result<T, Gone>) -> Result<T, Error> {
        outcome.map_err(|Gone| {
            self.is_gone = true;
            Error::Cancelled
        })
    }
}

impl<W: Output> ArchiveSink<W::Body> for Sink<'_, W> {
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        let begun = self.begin().await;
        self.sent(begun)?;
        let written = self.output.write(bytes).await;
        self.sent(written)
    }

    async fn copy(&mut self, body: W::Body, length: u64) -> Result<(), Error> {
        let begun = self.begin().await;
        self.sent(begun)?;
        let copied = self.output.copy(body, length).await;
        self.sent(copied)?
    }
}
