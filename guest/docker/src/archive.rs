//! Responses that are archives: save, export and copies out of containers.

use http::{HeaderMap, StatusCode};
use strata_engine::{ArchiveSink, Error};

use crate::{
    failure::Failure,
    output::{Gone, Output},
};

/// The body of the response.
pub(crate) struct Sink<'a, W> {
    output: &'a mut W,
    /// Until the first byte, so that a failure before it has its status.
    head: Option<HeaderMap>,
    /// The client left. The engine only knows that nobody takes the archive any more.
    is_gone: bool,
}

impl<'a, W: Output> Sink<'a, W> {
    /// A response with these headers.
    pub(crate) fn new(output: &'a mut W, headers: HeaderMap) -> Self {
        Self {
            output,
            head: Some(headers),
            is_gone: false,
        }
    }

    /// Ends the response; `outcome` is that of the work that wrote it.
    ///
    /// # Errors
    /// The inner failure if nothing was sent yet; later ones break the response off. [`Gone`] if the client
    /// left.
    pub(crate) async fn finish(
        mut self,
        outcome: Result<(), Error>,
    ) -> Result<Result<(), Failure>, Gone> {
        match (outcome, &self) {
            (_, Sink { is_gone: true, .. }) => return Err(Gone),
            (Err(error), Sink { head: Some(_), .. }) => return Ok(Err(error.into())),
            // dockerd writes its error into the archive and reports success.
            (Err(_), _) => self.output.abort().await,
            (Ok(()), _) => self.begin().await?,
        }
        Ok(Ok(()))
    }

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
