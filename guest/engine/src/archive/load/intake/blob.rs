//! Content whose name is its digest.

use strata_oci::Digest;

use super::{Intake, PROGRESS_BYTES, Reader, SMALL_BLOB, report, wrong_content};
use crate::{
    Body, Error, Ingest as _, Phase, Result, Stage as _, Store, archive::load::writes::Written,
};

impl<S: Store> Intake<'_, S> {
    /// Stores content, unless it is here.
    pub(super) async fn blob<B: Body<Error = Error>>(
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
        // Nobody else waits for a client that sends as slowly as it likes, and what a pull has of
        // the blob stays. This archive cannot be read again, so it waits for nobody either.
        let ingest = self.store.open_own_ingest(&digest, size, false, self.lease);
        let ingest = self.writes.beside(ingest).await??;
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
    async fn compare<B: Body<Error = Error>>(
        &mut self,
        digest: Digest,
        reader: &mut Reader<B>,
    ) -> Result<()> {
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
