//! The native store: a [`Backend`] on a local disk.

mod content;
mod facts;
mod names;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use crate::backend::{Backend, Lease, Leases};
use crate::lease::handle;
use crate::open::{self, Background, Parts};
use crate::sync::blocking;
use crate::{Error, Options, index};

/// A content store on a local disk. Clones share it.
///
/// Methods that are `async` need a tokio runtime.
#[derive(Clone)]
pub struct Store {
    parts: Arc<Parts>,
    // Last: when the last clone goes, the background threads are stopped and joined.
    _background: Arc<Background>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("root", &self.root())
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in the directory `path`, and creates it if there is nothing.
    ///
    /// Where writing is not possible the store opens read-only; every change then fails with
    /// [`Error::ReadOnly`], or with [`Error::NoSpace`] if the disk is so full that not even the reserve
    /// helps. Blocks while it does so, for milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the directory has other content; [`Error::Unsupported`] if another
    /// version wrote it; [`Error::Io`] and [`Error::NoSpace`].
    pub fn open(path: &Path, options: Options) -> Result<Store, Error> {
        let (parts, background) = open::open(path, &options)?;
        Ok(Store {
            parts,
            _background: Arc::new(background),
        })
    }

    /// The store's directory, absolute and without symbolic links.
    pub fn root(&self) -> &Path {
        self.parts.layout.root()
    }

    /// Whether every change fails, with [`Error::ReadOnly`] or because the disk was full when it was opened.
    pub fn read_only(&self) -> bool {
        !self.parts.layout.is_writable()
    }
}

#[async_trait]
impl Leases for Store {
    async fn acquire_lease(&self) -> Result<Lease, Error> {
        let leases = self.parts.leases.clone();
        blocking(move || handle::acquire(&leases)).await
    }
}

#[async_trait]
impl Backend for Store {
    /// Brings `index.json` up to date, and unless somebody else uses the store all changes into the database's
    /// own file. Also happens when the last clone of the store is dropped, and the first shortly after each
    /// change.
    async fn flush(&self) -> Result<(), Error> {
        if !self.parts.layout.is_writable() {
            return Ok(());
        }
        let names = self.parts.names.clone();
        blocking(move || {
            index::synchronize(&names)?;
            if let Err(error) = names.settle() {
                tracing::debug!(%error, "the log of the database is not emptied");
            }
            Ok(())
        })
        .await
    }
}
