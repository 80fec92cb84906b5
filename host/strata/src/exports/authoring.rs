//! `authoring`: new images. `progress` gets every event in order; dropping a future
//! cancels and leaves nothing visible.

use tokio::io::AsyncRead;

use super::{bytes, events, follow};
use crate::{Engine, Error, Result, types};

impl Engine {
    /// `authoring.import-from`: an image with one layer, from a tar of a root file
    /// system, compressed or not. Returns its digest.
    ///
    /// # Errors
    /// As `wit/authoring.wit` says, and [`Error::Input`] if `reader` fails.
    pub async fn import(
        &self,
        reader: impl AsyncRead + Send + Unpin + 'static,
        options: types::ImportOptions,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<String> {
        let mut alone = self.alone().await?;
        let (root, failure) = bytes::draw(&mut alone.store, reader)?;
        tokio::select! {
            Ok(error) = failure => Err(Error::Input(error)),
            imported = follow!(
                self,
                alone,
                progress,
                strata_image_authoring.call_import_from(root, options)
            ) => imported,
        }
    }

    /// `authoring.import-url`: the same from what a URL answers with. Returns the
    /// image's digest.
    ///
    /// # Errors
    /// As `wit/authoring.wit` says.
    pub async fn import_url(
        &self,
        url: &str,
        options: types::ImportOptions,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<String> {
        self.shared.outgoing.prepare();
        let alone = self.alone().await?;
        let imported = follow!(
            self,
            alone,
            progress,
            strata_image_authoring.call_import_url(url.to_owned(), options)
        );
        imported.await
    }

    /// `authoring.commit`: an image from a container and what was changed in it.
    /// Returns its digest.
    ///
    /// # Errors
    /// As `wit/authoring.wit` says.
    pub async fn commit(
        &self,
        container: &str,
        options: types::CommitOptions,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<String> {
        let alone = self.alone().await?;
        let committed = follow!(
            self,
            alone,
            progress,
            strata_image_authoring.call_commit(container.to_owned(), options)
        );
        committed.await
    }
}
