//! Blobs being written: the handle, and how bytes get to the thread that hashes and writes them.
//!
//! Each open ingest or stage has a worker ([`worker`]) behind a bounded queue, so parallel layers use
//! all cores and a slow disk slows the download instead of filling memory. A worker has a thread
//! ([`pool`]) only while there is something to do: one whose client stalls costs an open file and some
//! hundred bytes. The queue is a mutex and wakers for the senders: that serves `async` callers and
//! hand-written `poll` functions alike.

mod pool;
mod queue;
mod sink;
mod stage;
mod twin;
mod worker;

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io::{self, Read as _, Seek as _};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::activity::Activity;
use crate::backend::{Ingest, IngestState, Sink};
use crate::content::Blobs;
use crate::error::Doing as _;
use crate::owner::{is_still, try_lock};
use crate::sync::lock;
use crate::verify::{self, Verdict};
use crate::{Digest, Error, partial, regular};

use pool::POOL;
use queue::{Queue, Request};
use worker::{Goal, Worker};

use sink::QueueSink;

/// A blob being written here.
struct Writing {
    queue: Arc<Queue>,
}

impl fmt::Debug for Writing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writing")
            .field("offset", &self.offset())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Ingest for Writing {
    fn offset(&self) -> u64 {
        self.queue.accepted()
    }

    fn sink(&self) -> Box<dyn Sink> {
        Box::new(QueueSink::new(&self.queue))
    }

    async fn commit(self: Box<Self>) -> Result<(), Error> {
        self.queue.request(Request::Commit);
        std::future::poll_fn(|cx| self.queue.poll_outcome(cx))
            .await
            .map(drop)
    }

    async fn reset(&mut self) -> Result<(), Error> {
        self.queue.request(Request::Reset);
        std::future::poll_fn(|cx| self.queue.poll_reset(cx)).await
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.queue.request(Request::Close);
    }
}

/// The ingests this process has open.
pub(crate) struct Ingests {
    content: Arc<Blobs>,
    activity: Arc<Activity>,
    queues: Mutex<HashMap<Digest, Arc<Queue>>>,
}

impl Ingests {
    /// No ingests yet. What they write becomes `content`.
    pub(crate) fn new(content: Arc<Blobs>, activity: Arc<Activity>) -> Ingests {
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
            return Ok(IngestState::Open(Box::new(Writing { queue })));
        }
    }

    /// Opens an ingest beside any other of the same digest, which is protected already. If it `continues`, it begins with
    /// what the other one has.
    pub(crate) fn open_own(
        self: &Arc<Self>,
        digest: &Digest,
        size: u64,
        continues: bool,
    ) -> Result<Box<dyn Ingest>, Error> {
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
        Ok(Box::new(Writing { queue }))
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
