//! Content whose name may be anything: configs and layers of Docker archives.

use super::{
    Compression, Digest, File, Intake, PROGRESS_BYTES, Reader, SMALL_BLOB, named_digest, report,
};
use crate::{Body, Error, Phase, Result, Stage as _, Store, archive::load::writes::Written};

impl<S: Store> Intake<'_, S> {
    /// Stores a file, compared with what is here if it is known to be, and remembers which
    /// blob it is.
    pub(super) async fn file<B: Body<Error = Error>>(
        &mut self,
        path: String,
        size: u64,
        reader: &mut Reader<B>,
    ) -> Result<()> {
        if size <= SMALL_BLOB {
            let bytes = self.writes.beside(reader.whole()).await??;
            let digest = Digest::sha256(&bytes);
            let file = File {
                digest: digest.clone(),
                size,
                compression: Compression::of(&bytes),
            };
            self.arrived.files.add_file(path, file)?;
            return self.put(digest, bytes).await;
        }
        let files = &self.arrived.files;
        let expected = self.hints.digest_of(&path, files, self.store).await;
        let first = self.writes.beside(reader.content()).await??;
        let first = first.unwrap_or_default();
        let compression = Compression::of(&first);
        let here = match expected {
            Some(digest) if self.store.stat(&digest, Some(self.lease)).await? == Some(size) => {
                self.report(&digest, Phase::AlreadyExists, size, size);
                Some(digest)
            }
            _ => None,
        };
        let is_here = here.is_some();
        // Until the digest is known, progress goes by what the name suggests.
        let shown_as = named_digest(&path).unwrap_or_else(|| Digest::sha256(path.as_bytes()));
        let twin = match here {
            Some(digest) => Some(digest),
            None => self.twin(size).await?,
        };
        let stage = match twin {
            Some(twin) => {
                let stage = self.store.stage_like(self.lease, &twin);
                self.writes.beside(stage).await??
            }
            None => self.writes.beside(self.store.stage(self.lease)).await??,
        };
        let (mut written, mut shown) = (0, 0);
        if !is_here {
            self.report(&shown_as, Phase::Downloading, 0, size);
        }
        let mut next = Some(first);
        while let Some(piece) = next {
            written += piece.len() as u64;
            self.writes.beside(stage.write(piece)).await??;
            if !is_here && written - shown >= PROGRESS_BYTES {
                shown = written;
                self.report(&shown_as, Phase::Downloading, written, size);
            }
            next = self.writes.beside(reader.content()).await??;
        }
        let progress = self.progress;
        self.writes
            .add(async move {
                let (digest, size) = stage.finish().await?;
                if !is_here {
                    report(progress, &shown_as, Phase::Downloaded, size, size);
                }
                let file = File {
                    digest: digest.clone(),
                    size,
                    compression,
                };
                Ok(Written {
                    file: Some((path, file)),
                    new: (!is_here).then_some(digest),
                })
            })
            .await
    }

    /// A blob of this size: what the file may turn out to be. Old archives name layers by
    /// IDs that say nothing, and what is here shall not be written again.
    async fn twin(&mut self, size: u64) -> Result<Option<Digest>> {
        let twins = match &self.twins {
            Some(twins) => twins,
            None => {
                let blobs = self.store.blobs().await?.into_iter();
                let large = blobs.filter(|(_, size)| *size > SMALL_BLOB);
                let twins = large.map(|(digest, size)| (size, digest)).collect();
                self.twins.insert(twins)
            }
        };
        Ok(twins.get(&size).cloned())
    }
}
