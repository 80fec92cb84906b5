//! Content whose name is its digest.

use std::time::Duration;

use strata_oci::Digest;

use super::{Intake, PROGRESS_BYTES, Reader, SMALL_BLOB, report, wrong_content};
use crate::{
    Body, Clock, Error, Ingest as _, IngestState, Phase, Result, Stage as _, Store,
    archive::load::writes::Written,
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
        if present == Some(size) {
            self.report(&digest, Phase::AlreadyExists, size, size);
            return self.compare(digest, reader).await;
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

    /// Compares content with what is here under its digest, and replaces that where it is
    /// damaged: what the archive has is verified, what is here may have been changed since.
    async fn compare<B: Body>(&mut self, digest: Digest, reader: &mut Reader<B>) -> Result<()> {
        let stage = self.store.stage_like(self.lease, &digest);
        let stage = self.writes.beside(stage).await??;
        while let Some(piece) = self.writes.beside(reader.content()).await?? {
            self.writes.beside(stage.write(piece)).await??;
        }
        self.writes
            .add(async move {
                let (actual, _) = stage.finish().await?;
                match actual == digest {
                    true => Ok(Written::default()),
                    false => Err(wrong_content(Error::DigestMismatch {
                        expected: digest,
                        actual,
                    })),
                }
            })
            .await
    }

    /// Stores a small blob beside reading on. The store looks whether it has the same bytes.
    pub(super) async fn put(&mut self, digest: Digest, bytes: Vec<u8>) -> Result<()> {
        let (store, lease) = (self.store, self.lease);
        self.writes
            .add(async move {
                let is_here = store.stat(&digest, Some(lease)).await?.is_some();
                let stored = store.put(&digest, bytes, lease).await;
                stored.map_err(wrong_content)?;
                Ok(Written {
                    new: (!is_here).then_some(digest),
                    ..Written::default()
                })
            })
            .await
    }
}
