//! `archives`: images out to archives and in from them.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{bytes, events, follow, write_to};
use crate::{Engine, Error, Result, types};

impl Engine {
    /// `archives.save`: writes an archive of images to `writer` and gives it back,
    /// flushed. Without `platforms` everything that is here is saved. Dropping the
    /// future cancels; what was written then is no archive, nor is it after an
    /// error.
    ///
    /// # Errors
    /// As `wit/archives.wit` says, and [`Error::Output`] if `writer` fails.
    pub async fn save<W: AsyncWrite + Send + Unpin + 'static>(
        &self,
        names: Vec<String>,
        platforms: Vec<types::Platform>,
        writer: W,
    ) -> Result<W> {
        write_to!(
            self,
            writer,
            strata_image_archives.call_save(names, platforms)
        )
    }

    /// `archives.load`: reads an archive, compressed or not, up to its end.
    /// `progress` gets every event in order. Dropping the future cancels and
    /// leaves nothing visible.
    ///
    /// # Errors
    /// As `wit/archives.wit` says, and [`Error::Input`] if `reader` fails.
    pub async fn load(
        &self,
        reader: impl AsyncRead + Send + Unpin + 'static,
        platforms: Vec<types::Platform>,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<Vec<types::Loaded>> {
        let mut alone = self.alone().await?;
        let (archive, failure) = bytes::draw(&mut alone.store, reader)?;
        tokio::select! {
            Ok(error) = failure => Err(Error::Input(error)),
            loaded = follow!(
                self,
                alone,
                progress,
                strata_image_archives.call_load(archive, platforms)
            ) => loaded,
        }
    }
}
