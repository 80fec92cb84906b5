//! Responses that are archives.

use http::{HeaderMap, StatusCode};
use strata_engine::{ArchiveSink, Error};

use crate::output::{Gone, Output};

/// An archive on its way to the client. Its head is sent with the first byte, so that a failure before that
/// has its status.
pub struct Archive<'a, W> {
    output: &'a mut W,
    /// Until it is sent.
    head: Option<HeaderMap>,
    /// The client left. The engine only knows that nobody takes the archive any more.
    is_gone: bool,
}

impl<'a, W: Output> Archive<'a, W> {
    /// A response with these headers.
    pub fn new(output: &'a mut W, headers: HeaderMap) -> Self {
        Self {
            output,
            head: Some(headers),
            is_gone: false,
        }
    }

    /// Ends the response; `outcome` is that of the work that wrote it.
    ///
    /// # Errors
    /// The inner error if nothing was sent yet; later ones break the response off. [`Gone`] if the client
    /// left.
    pub async fn finish(mut self, outcome: Result<(), Error>) -> Result<Result<(), Error>, Gone> {
        match (outcome, &self) {
            (_, Self { is_gone: true, .. }) => return Err(Gone),
            (Err(error), Self { head: Some(_), .. }) => return Ok(Err(error)),
            // An error within the archive would pass for content.
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

impl<W: Output> ArchiveSink<W::Body> for Archive<'_, W> {
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
