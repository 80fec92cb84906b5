//! Facts somebody waits for: computed once for all who ask, and only as long as one does.

use std::sync::Arc;

use super::table::{LayerFacts, keep, look_up};
use super::{FactTable, PATIENCE, compute};
use crate::sync::{blocking, lock};
use crate::{Digest, Error};

impl FactTable {
    /// Facts of a layer, from the database or computed now.
    pub(crate) async fn on_demand(self: &Arc<Self>, digest: &Digest) -> Result<LayerFacts, Error> {
        if self.damage.layout().stamp(digest)?.is_none() {
            return Err(Error::NotFound(format!(
                "blob {digest} is not in the store"
            )));
        }
        if let Some(facts) = self.known(digest).await? {
            return Ok(facts);
        }
        // Of several who ask at once, one computes and the others read its result.
        let queue = Queue::join(self, digest);
        let _turn = queue.turn.lock().await;
        match self.known(digest).await? {
            Some(facts) => Ok(facts),
            None => self.compute_and_keep(digest).await,
        }
    }

    /// What was found before; reads no blob.
    pub(crate) async fn known(
        self: &Arc<Self>,
        digest: &Digest,
    ) -> Result<Option<LayerFacts>, Error> {
        let (facts, digest) = (self.clone(), digest.clone());
        blocking(move || {
            facts
                .damage
                .names
                .read(|connection, _| look_up(connection, &digest))
        })
        .await
    }

    async fn compute_and_keep(self: &Arc<Self>, digest: &Digest) -> Result<LayerFacts, Error> {
        let permit = self.permits.clone().acquire_owned().await;
        let (facts, digest) = (self.clone(), digest.clone());
        // Held by whoever waits for this: without them the thread stops, and only then gives its
        // permit back.
        let waiting = Arc::new(());
        let waited_for = Arc::downgrade(&waiting);
        let computed = blocking(move || {
            let _permit = permit;
            let found = compute::compute(
                &facts.damage,
                &facts.decoders,
                &digest,
                Some(PATIENCE),
                &mut || waited_for.strong_count() > 0,
            )?
            .ok_or_else(|| Error::Conflict(format!("computing facts of {digest} was stopped")))?;
            let names = &facts.damage.names;
            if !names.layout.is_writable() {
                return Ok(found);
            }
            names
                .write(|transaction, _| {
                    keep(transaction, &digest, &found)?;
                    Ok(look_up(transaction, &digest))
                })??
                .ok_or_else(|| Error::NotFound(format!("facts of {digest} were not kept")))
        })
        .await;
        drop(waiting);
        computed
    }
}

/// A place among those who ask for the same facts, given up when it is dropped.
struct Queue<'a> {
    facts: &'a FactTable,
    digest: &'a Digest,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl<'a> Queue<'a> {
    fn join(facts: &'a FactTable, digest: &'a Digest) -> Queue<'a> {
        let turn = lock(&facts.computing)
            .entry(digest.clone())
            .or_default()
            .clone();
        Queue {
            facts,
            digest,
            turn,
        }
    }
}

impl Drop for Queue<'_> {
    fn drop(&mut self) {
        let mut computing = lock(&self.facts.computing);
        // Two: the map's and ours.
        if Arc::strong_count(&self.turn) <= 2 {
            computing.remove(self.digest);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fs::File;
    use std::time::Duration;

    use super::super::PARALLEL;
    use super::*;
    use crate::{Options, open};

    /// Bytes that take seconds to hash, and no room on the disk.
    const LARGE: u64 = 16 << 30;

    #[tokio::test]
    async fn what_nobody_waits_for_stops_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (parts, _background) = open::open(directory.path(), &Options::default()).unwrap();
        let facts = &parts.facts;
        let digest = Digest::sha256(b"large");
        let path = directory.path().join("blobs/sha256").join(digest.encoded());
        File::create(path).unwrap().set_len(LARGE).unwrap();
        let mut asked = Box::pin(facts.on_demand(&digest));
        let begun = async {
            while facts.permits.available_permits() == PARALLEL {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            done = &mut asked => panic!("{done:?}"),
            () = begun => {}
        }
        drop(asked);
        assert!(lock(&facts.computing).is_empty());
        drop(
            facts
                .permits
                .acquire_many(PARALLEL.try_into().unwrap())
                .await,
        );
        assert_eq!(facts.known(&digest).await.unwrap(), None);
    }
}
