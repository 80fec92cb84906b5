//! Blobs whose digest is only known when all their bytes are there: layers and configs made here,
//! and whatever an archive holds.
//!
//! Unlike an ingest, a stage has no name under which it could be resumed, so it leaves nothing.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;

use super::queue::{Queue, Request};
use super::twin::Twin;
use super::worker::{Goal, Worker};
use super::{IngestSink, Ingests};
use crate::error::Doing as _;
use crate::lease::Lease;
use crate::{Digest, Error, partial};

/// A blob being written whose digest is not known yet. Dropping it discards what was written.
///
/// If the digest is known, an [`Ingest`](crate::Ingest) is better: it can be resumed, and a blob
/// that is here need not be written at all.
pub struct Stage {
    queue: Arc<Queue>,
    /// It lives as long as somebody waits for this.
    _lease: Lease,
}

impl std::fmt::Debug for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Bytes accepted so far.
    pub fn offset(&self) -> u64 {
        self.queue.accepted()
    }

    /// Appends bytes. Waits while about 1 MiB is queued already.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`] or [`Error::Io`] if bytes accepted earlier could not be written. That
    /// error stays.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.sink().write(bytes).await
    }

    /// A second handle for code that is polled. It lives as long as this one is not dropped.
    pub fn sink(&self) -> IngestSink {
        IngestSink {
            queue: self.queue.clone(),
        }
    }

    /// Makes the blob durable, protects it with the lease and then makes it visible. Returns its
    /// digest, SHA-256, and its size in bytes. If it is here already it is only protected.
    ///
    /// Goes on if the future is dropped, as long as the lease lives. If it fails nothing is left.
    ///
    /// # Errors
    ///
    /// [`Error::NoSpace`], [`Error::Io`] from this or an earlier write.
    pub async fn finish(self) -> Result<(Digest, u64), Error> {
        self.queue.request(Request::Commit);
        std::future::poll_fn(|cx| self.queue.poll_outcome(cx))
            .await?
            .ok_or_else(|| Error::Conflict("the staged blob was closed; write it again".into()))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.queue.request(Request::Close);
    }
}

impl Ingests {
    /// Starts a blob to be protected by `lease`, perhaps the same as `like`.
    pub(crate) fn stage(
        self: &Arc<Self>,
        lease: Lease,
        like: Option<&Digest>,
    ) -> Result<Stage, Error> {
        let id = lease.id(&self.content.leases)?;
        let twin = match like {
            Some(digest) => Twin::open(&self.content, digest, id)?,
            None => None,
        };
        let (path, file) =
            partial::stage(self.content.layout()).doing(|| "creating a staged blob")?;
        let queue = Arc::new(Queue::new(None, 0));
        let goal = Goal::Stage { lease: id };
        let worker = Worker::new(self.clone(), goal.clone(), file, path.clone(), twin);
        if let Err(error) = self.start(&queue, &goal, worker) {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Stage {
            queue,
            _lease: lease,
        })
    }
}
