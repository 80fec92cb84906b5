//! Content whose name is its digest.

use std::time::Duration;

use strata_oci::Digest;

use super::{Intake, PROGRESS_BYTES, Reader, SMALL_BLOB, report, wrong_content, wrong_size};
use crate::{
    Body, Clock, Ingest as _, IngestState, Phase, Result, Store, archive::load::writes::Written,
};

/// How often to look whether another operation has brought in a blob.
const TICK: Duration = Duration::from_millis(100);

impl<S: Store, C: Clock> Intake<'_, S, C> {
    /// Stores content, unless it is here.
    pub(super) async fn blob<B: Body>(
        &mut self,
        digest: Digest,
        size: u64,
        reader: &mut Reader<B>,
    ) -> Result<()> {
        if size <= SMALL_BLOB {
            let bytes = self.writes.beside(reader.whole()).await??;
            return self.put(digest, bytes).await;
        }
        let present = self.store.stat(&digest, Some(self.lease)).await?;
        if let Some(stored) = present {
            if stored != size {
                return Err(wrong_size(&digest, stored, size));
            }
            self.report(&digest, Phase::AlreadyExists, size, size);
            return Ok(());
        }
        let ingest = loop {
            let opened = self.store.open_ingest(&digest, size, self.lease);
            match self.writes.beside(opened).await?? {
                IngestState::Open(ingest) => break ingest,
                IngestState::Present => {
                    self.report(&digest, Phase::AlreadyExists, size, size);
                    return Ok(());
                }
                // The archive waits: passing it by would need the bytes again should the
                // other one give up.
                IngestState::Busy(_) => self.writes.beside(self.clock.sleep(TICK)).await?,
            }
        };
        if ingest.offset() > 0 {
            // Part of a download. Should the whole turn out wrong, it would not be known
            // whose fault it is, and this archive cannot be read again.
            self.writes.beside(ingest.reset()).await??;
        }
        let mut shown = 0;
        self.report(&digest, Phase::Downloading, 0, size);
        while let Some(piece) = self.writes.beside(reader.content()).await?? {
            let offset = self.writes.beside(ingest.write(piece)).await??;
            if offset - shown >= PROGRESS_BYTES {
                shown = offset;
                self.report(&digest, Phase::Downloading, offset, size);
            }
        }
        let progress = self.progress;
        self.writes
            .add(async move {
                ingest.commit().await.map_err(wrong_content)?;
                report(progress, &digest, Phase::Downloaded, size, size);
                Ok(Written {
                    new: Some(digest),
                    ..Written::default()
                })
            })
            .await
    }

    /// Stores a small blob beside reading on.
    pub(super) async fn put(&mut self, digest: Digest, bytes: Vec<u8>) -> Result<()> {
        let (store, lease) = (self.store, self.lease);
        self.writes
            .add(async move {
                let size = bytes.len() as u64;
                if let Some(stored) = store.stat(&digest, Some(lease)).await? {
                    return match stored == size {
                        true => Ok(Written::default()),
                        false => Err(wrong_size(&digest, stored, size)),
                    };
                }
                let stored = store.put(&digest, bytes, lease).await;
                stored.map_err(wrong_content)?;
                Ok(Written {
                    new: Some(digest),
                    ..Written::default()
                })
            })
            .await
    }
}
