//! `containers`: an image and what was changed since, named by a name, an ID or the first digits
//! of one.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{bytes, call, events, follow, write_to};
use crate::{Engine, Error, Result, types};

impl Engine {
    /// `containers.create`. Returns the new container's ID.
    ///
    /// # Errors
    /// As `wit/containers.wit` says.
    pub async fn create_container(&self, options: types::CreateOptions) -> Result<String> {
        call!(self, strata_image_containers.call_create(options))
    }

    /// `containers.list`: every container, newest first.
    ///
    /// # Errors
    /// As `wit/containers.wit` says.
    pub async fn containers(&self) -> Result<Vec<types::Container>> {
        call!(self, strata_image_containers.call_list())
    }

    /// `containers.inspect`: one container.
    ///
    /// # Errors
    /// As `wit/containers.wit` says.
    pub async fn container(&self, name: &str) -> Result<types::Container> {
        call!(self, strata_image_containers.call_inspect(name.to_owned()))
    }

    /// `containers.remove`: a container and what was changed in it.
    ///
    /// # Errors
    /// As `wit/containers.wit` says.
    pub async fn remove_container(&self, name: &str) -> Result<()> {
        call!(self, strata_image_containers.call_remove(name.to_owned()))
    }

    /// `containers.stat`: what is at a path of a container.
    ///
    /// # Errors
    /// As `wit/containers.wit` says.
    pub async fn stat_path(&self, container: &str, path: &str) -> Result<types::PathStat> {
        call!(
            self,
            strata_image_containers.call_stat(container.to_owned(), path.to_owned())
        )
    }

    /// `containers.copy-out`: writes a tar of a file or directory to `writer` and
    /// gives it back, flushed. Dropping the future cancels.
    ///
    /// # Errors
    /// As `wit/containers.wit` says, and [`Error::Output`] if `writer` fails.
    pub async fn copy_out<W: AsyncWrite + Send + Unpin + 'static>(
        &self,
        container: &str,
        path: &str,
        writer: W,
    ) -> Result<W> {
        write_to!(
            self,
            writer,
            strata_image_containers.call_copy_out(container.to_owned(), path.to_owned())
        )
    }

    /// `containers.copy-in`: extracts a tar, compressed or not, into a directory.
    /// `progress` gets every event in order. Dropping the future cancels and
    /// changes nothing.
    ///
    /// # Errors
    /// As `wit/containers.wit` says, and [`Error::Input`] if `reader` fails.
    pub async fn copy_in(
        &self,
        container: &str,
        path: &str,
        reader: impl AsyncRead + Send + Unpin + 'static,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<()> {
        let mut alone = self.alone().await?;
        let (archive, failure) = bytes::draw(&mut alone.store, reader)?;
        let (container, path) = (container.to_owned(), path.to_owned());
        tokio::select! {
            Ok(error) = failure => Err(Error::Input(error)),
            copied = follow!(
                self,
                alone,
                progress,
                strata_image_containers.call_copy_in(container, path, archive)
            ) => copied,
        }
    }

    /// `containers.changes`: what differs from the image, in path order.
    ///
    /// # Errors
    /// As `wit/containers.wit` says.
    pub async fn changes(&self, container: &str) -> Result<Vec<types::ChangedPath>> {
        call!(
            self,
            strata_image_containers.call_changes(container.to_owned())
        )
    }

    /// `containers.export`: writes a tar of the whole file system to `writer` and
    /// gives it back, flushed. Dropping the future cancels.
    ///
    /// # Errors
    /// As `wit/containers.wit` says, and [`Error::Output`] if `writer` fails.
    pub async fn export<W: AsyncWrite + Send + Unpin + 'static>(
        &self,
        container: &str,
        writer: W,
    ) -> Result<W> {
        write_to!(
            self,
            writer,
            strata_image_containers.call_export(container.to_owned())
        )
    }
}
