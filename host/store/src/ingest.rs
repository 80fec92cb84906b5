//! Blobs being written: the handle, and how bytes get to the thread that hashes and writes them.
//!
//! Each open ingest or stage has a worker ([`worker`]) behind a bounded queue, so parallel layers use
//! all cores and a slow disk slows the download instead of filling memory. A worker has a thread
//! ([`pool`]) only while there is something to do: one whose client stalls costs an open file and some
//! hundred bytes. The queue is a mutex and wakers for the senders: that serves `async` callers and
//! hand-written `poll` functions alike.

mod pool;
mod queue;
mod stage;
mod twin;
mod worker;

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;

use crate::activity::Activity;
use crate::content::Content;
use crate::error::Doing as _;
use crate::owner::{is_still, try_lock};
use crate::sync::lock;
use crate::verify::{self, Verdict};
use crate::{Digest, Error, partial, regular};

use pool::POOL;
use queue::{Queue, Request};
use worker::{Goal, Worker};

pub use stage::Stage;

/// Larger pieces are sent in parts, so that hashing starts before all is queued.
const PART: usize = 256 * 1024;

/// What [`open_ingest`](crate::Store::open_ingest) found.
#[derive(Debug)]
pub enum IngestState {
    /// The blob is here and now protected by the lease.
    Present,
    /// Another operation, in this process or another one, is writing it and has this many bytes.
    Busy(u64),
    /// It is yours to write.
    Open(Ingest),
}

/// A blob being written. Dropping it keeps what was accepted, so that the next
/// [`open_ingest`](crate::Store::open_ingest) of the digest continues there; unless it is one of
/// [`open_own_ingest`](crate::Store::open_own_ingest).
pub struct Ingest {
    queue: Arc<Queue>,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

impl Ingest {
    /// Bytes accepted so far; where the next [`write`](Ingest::write) continues. After an error it
    /// is what is in the file.
    pub fn offset(&self) -> u64 {
        self.queue.accepted()
    }

    /// Appends bytes. Waits while about 1 MiB is queued already.
    ///
    /// # Errors
    ///
    /// [`Error::TooLong`] if the blob would become longer than its size; nothing of `bytes` is
    /// accepted then. [`Error::NoSpace`] or [`Error::Io`] if bytes accepted earlier could not be
    /// written; that error stays until [`reset`](Ingest::reset) or a new ingest.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.sink().write(bytes).await
    }

    /// A second handle for code that is polled. It lives as long as this one is not dropped.
    pub fn sink(&self) -> IngestSink {
        IngestSink {
            queue: self.queue.clone(),
        }
    }

    /// Verifies size and digest, makes the blob durable and then visible. Goes on if the future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`Error::TooShort`] if bytes are missing; what came is kept.
    /// [`Error::DigestMismatch`] if the bytes have another digest; they are discarded.
    /// [`Error::NoSpace`], [`Error::Io`] from this or an earlier write.
    pub async fn commit(self) -> Result<(), Error> {
        self.queue.request(Request::Commit);
        std::future::poll_fn(|cx| self.queue.poll_outcome(cx))
            .await
            .map(drop)
    }

    /// Forgets the bytes; the next write starts at 0. Also clears an earlier error.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be truncated.
    pub async fn reset(&mut self) -> Result<(), Error> {
        self.queue.request(Request::Reset);
        std::future::poll_fn(|cx| self.queue.poll_reset(cx)).await
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.queue.request(Request::Close);
    }
}

/// Sends bytes into an [`Ingest`] or a [`Stage`] from a `poll` function.
///
/// As with `futures::Sink`: [`start_send`](IngestSink::start_send) only after
/// [`poll_ready`](IngestSink::poll_ready) was ready.
pub struct IngestSink {
    queue: Arc<Queue>,
}

impl std::fmt::Debug for IngestSink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IngestSink")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

impl IngestSink {
    /// See [`Ingest::offset`].
    pub fn offset(&self) -> u64 {
        self.queue.accepted()
    }

    /// Ready when there is room in the queue.
    ///
    /// # Errors
    ///
    /// The error that stopped the worker, as in [`Ingest::write`].
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.queue.poll_ready(cx)
    }

    /// Queues bytes. Never waits; a piece of any size is taken whole.
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    pub fn start_send(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.queue.send(bytes)
    }

    /// As [`Ingest::write`].
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.queue.check_room(bytes.len() as u64)?;
        while !bytes.is_empty() {
            let part = bytes.split_to(bytes.len().min(PART));
            std::future::poll_fn(|cx| self.queue.poll_ready(cx)).await?;
            self.queue.send(part)?;
        }
        Ok(())
    }

    /// Ready when everything accepted so far is hashed and in the file. Not yet synced: that is
    /// done by [`Ingest::commit`].
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.queue.poll_flush(cx)
    }

    /// Waits until everything accepted so far is hashed and in the file.
    ///
    /// # Errors
    ///
    /// As in [`Ingest::write`].
    pub async fn flush(&mut self) -> Result<(), Error> {
        std::future::poll_fn(|cx| self.queue.poll_flush(cx)).await
    }
}

/// The ingests this process has open.
pub(crate) struct Ingests {
    content: Arc<Content>,
    activity: Arc<Activity>,
    queues: Mutex<HashMap<Digest, Arc<Queue>>>,
}

impl Ingests {
    /// No ingests yet. What they write becomes `content`.
    pub(crate) fn new(content: Arc<Content>, activity: Arc<Activity>) -> Ingests {
        Ingests {
            content,
            activity,
            queues: Mutex::default(),
        }
    }

    /// Opens the one ingest of a digest that is protected already.
    pub(crate) fn open(self: &Arc<Self>, digest: &Digest, size: u64) -> Result<IngestState, Error> {
        loop {
            if let Some(found) = self.content.damage.present(digest)? {
                if found == size {
                    return Ok(IngestState::Present);
                }
                // Either the file is damaged, or the descriptor is wrong.
                match verify::examine(&self.content.damage, digest, &|| true)? {
                    Verdict::Intact(found) => {
                        return Err(Error::Invalid(format!(
                            "blob {digest} has {found} bytes, the descriptor asked for says {size}"
                        )));
                    }
                    Verdict::Absent | Verdict::Damaged(_) => {}
                }
            }
            let path = partial::path(self.content.layout(), digest);
            let doing = || format!("opening the ingest of {digest}");
            regular::clear_other(&path, false);
            let file = regular::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .doing(doing)?;
            if !try_lock(&file).doing(doing)? {
                // One that was dropped here only has to write its last bytes: wait for it.
                let queue = lock(&self.queues).get(digest).cloned();
                if queue.is_some_and(|queue| queue.wait_closed()) {
                    continue;
                }
                return Ok(IngestState::Busy(file.metadata().doing(doing)?.len()));
            }
            // Whoever had the lock before may have published or removed the file.
            if !is_still(&file, &path) {
                continue;
            }
            let mut length = file.metadata().doing(doing)?.len();
            if length > size {
                file.set_len(0).doing(doing)?;
                length = 0;
            }
            let queue = Arc::new(Queue::new(Some(size), length));
            let goal = Goal::Blob(digest.clone());
            let worker = Worker::new(self.clone(), goal.clone(), file, path, None);
            self.start(&queue, &goal, worker)?;
            return Ok(IngestState::Open(Ingest { queue }));
        }
    }

    /// Opens an ingest beside any other of the same digest, which is protected already. If it `continues`, it begins with
    /// what the other one has.
    pub(crate) fn open_own(
        self: &Arc<Self>,
        digest: &Digest,
        size: u64,
        continues: bool,
    ) -> Result<Ingest, Error> {
        let doing = || format!("opening an ingest of {digest}");
        let (path, mut file) = partial::stage(self.content.layout()).doing(doing)?;
        let mut length = 0;
        if continues
            && let Ok((partial, _)) = regular::open(&partial::path(self.content.layout(), digest))
        {
            // What cannot be had of it is fetched.
            length = match io::copy(&mut partial.take(size), &mut file) {
                Ok(length) => length,
                Err(_) => {
                    file.set_len(0).doing(doing)?;
                    0
                }
            };
            file.rewind().doing(doing)?;
        }
        let queue = Arc::new(Queue::new(Some(size), length));
        let goal = Goal::Own(digest.clone());
        let worker = Worker::new(self.clone(), goal.clone(), file, path.clone(), None);
        if let Err(error) = self.start(&queue, &goal, worker) {
            let _ = fs::remove_file(path);
            return Err(error);
        }
        Ok(Ingest { queue })
    }

    /// Starts a worker.
    fn start(&self, queue: &Arc<Queue>, goal: &Goal, worker: Worker) -> Result<(), Error> {
        POOL.enter().doing(|| "starting a thread to write with")?;
        if let Goal::Blob(digest) = goal {
            lock(&self.queues).insert(digest.clone(), queue.clone());
        }
        self.activity.begin();
        queue.start(worker);
        Ok(())
    }

    /// The worker has ended.
    fn closed(&self, goal: &Goal) {
        if let Goal::Blob(digest) = goal {
            lock(&self.queues).remove(digest);
        }
        POOL.leave();
        self.activity.end();
    }
}
