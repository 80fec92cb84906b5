//! Facts about layers: what they are uncompressed. Learned once, kept in the database.
//!
//! On demand they are computed at once; promised diff-ids are checked by a background thread of low
//! priority while nothing is being written.

mod compute;
mod demand;
pub(crate) mod table;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strata_codec::DecoderMemory;

use crate::activity::Activity;
use crate::damage::Damage;
use crate::{Algorithm, Digest, Error};

pub use table::LayerFacts;

/// Layers decompressed at once on demand: more would only share the processors.
const PARALLEL: usize = 4;
/// How long those who wait for facts wait for the memory of a decoder.
const PATIENCE: Duration = Duration::from_secs(60);
/// Pause before trying again after a failure, or while another process does the checks.
const RETRY: Duration = Duration::from_secs(10);
/// Niceness of the background thread: only what nobody else wants of the processors.
const NICE: i32 = 19;

/// The facts of a store's layers, and what is being computed of them.
pub(crate) struct FactTable {
    damage: Arc<Damage>,
    activity: Arc<Activity>,
    decoders: DecoderMemory,
    computing: Mutex<HashMap<Digest, Arc<tokio::sync::Mutex<()>>>>,
    permits: Arc<tokio::sync::Semaphore>,
}

impl FactTable {
    /// Facts of blobs that are not damaged, checked when there is no `activity` with the memory of `decoders`.
    pub(crate) fn new(
        damage: Arc<Damage>,
        activity: Arc<Activity>,
        decoders: DecoderMemory,
    ) -> FactTable {
        FactTable {
            damage,
            activity,
            decoders,
            computing: Mutex::default(),
            permits: Arc::new(tokio::sync::Semaphore::new(PARALLEL)),
        }
    }

    /// Queues checks; those whose facts are known are made at once.
    pub(crate) fn expect(&self, layers: &[(Digest, Digest)]) -> Result<(), Error> {
        self.damage.names.write(|transaction, _| {
            for (digest, diff_id) in layers {
                if diff_id.algorithm() != Algorithm::Sha256 {
                    tracing::debug!(%digest, %diff_id, "not checked: only SHA-256 diff-ids are");
                    continue;
                }
                table::expect(transaction, digest, diff_id)?;
            }
            Ok(())
        })?;
        self.activity.wake();
        Ok(())
    }

    /// The background thread.
    pub(crate) fn run(&self) {
        // On Linux a thread has its own niceness. Without it the checks are only less polite.
        if let Err(error) =
            rustix::process::setpriority_process(Some(rustix::thread::gettid()), NICE)
        {
            tracing::debug!(%error, "the checking thread keeps its priority");
        }
        let mut timeout = None;
        while self.activity.wait(timeout) {
            timeout = match self.check_pending() {
                Ok(done) => (!done).then_some(RETRY),
                Err(error) => {
                    tracing::warn!(%error, "checking layers failed; trying again");
                    Some(RETRY)
                }
            };
        }
    }

    /// Works off the queue. False if another process is doing so.
    fn check_pending(&self) -> Result<bool, Error> {
        let (mut locked, mut damaged) = (None, None);
        loop {
            if !self.activity.wait_idle() {
                return Ok(true);
            }
            let Some(digest) = self.next_pending()? else {
                return Ok(true);
            };
            if locked.is_none() {
                match self.damage.layout().place().try_lock("facts.lock")? {
                    Some(file) => locked = Some(file),
                    None => return Ok(false),
                }
            }
            match compute::compute(&self.damage, &self.decoders, &digest, None, &mut || {
                self.activity.wait_idle()
            }) {
                Ok(Some(facts)) => {
                    self.damage
                        .names
                        .write(|transaction, _| table::keep(transaction, &digest, &facts))?;
                }
                Ok(None) => return Ok(true),
                // Its turn comes when it is replaced. Where its mark is not kept, that is later.
                Err(Error::Damaged { .. }) if damaged.as_ref() != Some(&digest) => {
                    damaged = Some(digest);
                }
                Err(Error::Damaged { .. }) => return Ok(false),
                Err(error @ (Error::NotFound(_) | Error::Invalid(_))) => {
                    if !matches!(error, Error::NotFound(_)) {
                        tracing::error!(layer = %digest, %error, "a layer cannot be checked");
                    }
                    self.damage
                        .names
                        .write(|transaction, _| table::give_up(transaction, &digest))?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The next layer to check that is not damaged. The rows of marks do not say that alone: one may be written after
    /// the file it is about was replaced.
    fn next_pending(&self) -> Result<Option<Digest>, Error> {
        let damaged = self.damage.all()?;
        let damaged: HashSet<Digest> = damaged.into_iter().map(|(digest, _)| digest).collect();
        let pending = self
            .damage
            .names
            .read(|connection, _| table::pending(connection))?;
        Ok(pending.into_iter().find(|digest| !damaged.contains(digest)))
    }
}
