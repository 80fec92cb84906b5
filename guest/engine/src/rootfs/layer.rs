//! A layer that is written as it comes to be known.

use std::mem;

use strata_oci::{
    Descriptor,
    archive::{END, padding},
    layer::{Entry, List, header},
};

use super::scan::too_long;

use crate::{Result, Stage as _, Store};

/// Bytes gathered before the store gets them.
const WRITE_BYTES: usize = 256 << 10;

/// A plain layer being written. Dropping it leaves nothing.
pub(crate) struct Writer<S: Store> {
    stage: S::Stage,
    pending: Vec<u8>,
    offset: u64,
    list: List,
}

impl<S: Store> Writer<S> {
    /// An empty layer.
    ///
    /// # Errors
    /// As the store's `stage`.
    pub(crate) async fn new(store: &S, lease: &S::Lease) -> Result<Self> {
        Ok(Self {
            stage: store.stage(lease).await?,
            pending: Vec::new(),
            offset: 0,
            list: List::new(true),
        })
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> usize {
        self.list.len()
    }

    /// Adds an entry. Returns where its content begins, which must follow.
    ///
    /// # Errors
    /// [`crate::Error::QuotaExceeded`] if there are too many; as the store's `stage.write`.
    pub(crate) async fn entry(&mut self, entry: &Entry) -> Result<u64> {
        self.write(header(entry)).await?;
        self.list.push(entry, self.offset).map_err(too_long)?;
        Ok(self.offset)
    }

    /// Adds a piece of content, at most 1 MiB.
    ///
    /// # Errors
    /// As [`Writer::entry`].
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        if bytes.len() >= WRITE_BYTES {
            self.flush().await?;
            return self.stage.write(bytes).await;
        }
        self.pending.extend(bytes);
        match self.pending.len() >= WRITE_BYTES {
            true => self.flush().await,
            false => Ok(()),
        }
    }

    /// Ends content of this size.
    ///
    /// # Errors
    /// As [`Writer::entry`].
    pub(crate) async fn pad(&mut self, size: u64) -> Result<()> {
        self.write(vec![0; padding(size)]).await
    }

    /// Ends the layer and makes it durable. Returns what it lists, too.
    ///
    /// # Errors
    /// As the store's `stage.finish`.
    pub(crate) async fn finish(mut self, media_type: &str) -> Result<(Descriptor, List)> {
        self.write(END.to_vec()).await?;
        self.flush().await?;
        let (digest, size) = self.stage.finish().await?;
        Ok((Descriptor::new(media_type, digest, size), self.list))
    }

    async fn flush(&mut self) -> Result<()> {
        match self.pending.is_empty() {
            true => Ok(()),
            false => self.stage.write(mem::take(&mut self.pending)).await,
        }
    }
}
