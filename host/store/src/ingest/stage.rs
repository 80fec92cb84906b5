//! Blobs whose digest is only known when all their bytes are there: layers and configs made here,
//! and whatever an archive holds.
//!
//! Unlike an ingest, a stage has no name under which it could be resumed, so it leaves nothing.

use std::fmt;
use std::fs;
use std::sync::Arc;

use async_trait::async_trait;

use super::Ingests;
use super::queue::{Queue, Request};
use super::sink::QueueSink;
use super::twin::Twin;
use super::worker::{Goal, Worker};
use crate::backend::{Lease, Sink, Stage};
use crate::error::Doing as _;
use crate::lease::handle;
use crate::{Digest, Error, partial};

/// A blob being staged here.
struct Staging {
    queue: Arc<Queue>,
    /// It lives as long as somebody waits for this.
    _lease: Lease,
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Stage for Staging {
    fn offset(&self) -> u64 {
        self.queue.accepted()
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(QueueSink::new(&self.queue))
    }

    async fn finish(self: Box<Self>) -> Result<(Digest, u64), Error> {
        self.queue.request(Request::Commit);
        std::future::poll_fn(|cx| self.queue.poll_outcome(cx))
            .await?
            .ok_or_else(|| Error::Conflict("the staged blob was closed; write it again".into()))
    }
}

impl Drop for Staging {
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
    ) -> Result<Box<dyn Stage>, Error> {
        let id = handle::id(&lease, &self.content.leases)?;
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
        Ok(Box::new(Staging {
            queue,
            _lease: lease,
        }))
    }
}
