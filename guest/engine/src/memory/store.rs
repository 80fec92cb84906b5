//! The store's functions, in memory.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use strata_oci::Digest;

use super::{Bytes, Held, Memory, Partial, Staged, codec, known, leases::Hold};
use crate::{
    Change, Error, Expectation, IngestState, LayerFacts, Name, Result, Store, Target, Verdict,
};

impl Memory {
    /// Whether a change takes a name from `target`.
    fn removes(&self, change: &Change, target: &Target) -> bool {
        let Change::Remove {
            namespace, name, ..
        } = change
        else {
            return false;
        };
        let names = self.0.names.borrow();
        let lost = names.get(&(namespace.clone(), name.clone()));
        lost.is_some_and(|lost| lost.target == *target)
    }

    fn holds(&self, change: &Change) -> bool {
        let (Change::Set {
            namespace,
            name,
            expected,
            ..
        }
        | Change::Remove {
            namespace,
            name,
            expected,
        }) = change;
        let names = self.0.names.borrow();
        let record = names.get(&(namespace.clone(), name.clone()));
        match expected {
            Expectation::Any => true,
            Expectation::Absent => record.is_none(),
            Expectation::Target(digest) => {
                record.is_some_and(|record| record.target.digest == *digest)
            }
        }
    }
}

fn not_found(digest: &Digest) -> Error {
    Error::NotFound(format!("blob {digest} is not in the store"))
}

impl Store for Memory {
    type Body = Bytes;
    type Ingest = Partial;
    type Stage = Staged;
    type Lease = Held;

    async fn stat(&self, digest: &Digest, lease: Option<&Held>) -> Result<Option<u64>> {
        self.enter("stat");
        let size = self.present(digest);
        if let Some(lease) = lease {
            lease.protect(digest);
        }
        Ok(size)
    }

    async fn stat_all(&self, digests: &[Digest], lease: Option<&Held>) -> Result<Vec<Option<u64>>> {
        self.enter("stat_all");
        for digest in digests {
            if let Some(lease) = lease {
                lease.protect(digest);
            }
        }
        Ok(digests.iter().map(|it| self.present(it)).collect())
    }

    async fn get(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        self.enter("get");
        let bytes = self.0.blobs.borrow().get(digest).cloned();
        let bytes = bytes.ok_or_else(|| not_found(digest))?;
        match bytes.len() as u64 > limit {
            true => Err(Error::QuotaExceeded(format!("blob {digest} is too large"))),
            false => self.believe(digest, bytes),
        }
    }

    async fn read(&self, digest: &Digest, offset: u64, length: Option<u64>) -> Result<Bytes> {
        self.is_hidden(digest);
        if let Some(reason) = self.0.known.reason(digest) {
            return Err(known::error(digest, &reason));
        }
        self.enter("get");
        let bytes = self.bytes(digest).ok_or_else(|| not_found(digest))?;
        let end = length.map_or(u64::MAX, |length| offset.saturating_add(length));
        let within = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(bytes.len());
        let (from, to) = (within(offset), within(end));
        Ok(Bytes::of(bytes.get(from..to).unwrap_or_default().to_vec()))
    }

    async fn put(&self, digest: &Digest, data: Vec<u8>, lease: &Held) -> Result<()> {
        self.enter("put");
        let actual = Digest::of(digest.algorithm(), &data);
        if actual != *digest {
            let expected = digest.clone();
            return Err(Error::DigestMismatch { expected, actual });
        }
        lease.protect(digest);
        self.publish(digest, data);
        Ok(())
    }

    async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        lease: &Held,
    ) -> Result<IngestState<Partial>> {
        self.enter("open_ingest");
        lease.protect(digest);
        if self.is_whole(digest, size)? {
            return Ok(IngestState::Present);
        }
        let mut ingests = self.0.ingests.borrow_mut();
        let left = ingests.entry(digest.clone()).or_default();
        if left.is_open {
            return Ok(IngestState::Busy(left.bytes.len() as u64));
        }
        left.is_open = true;
        Ok(IngestState::Open(Partial::shared(self, digest, size)))
    }

    async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        lease: &Held,
    ) -> Result<Partial> {
        self.enter("open_own_ingest");
        lease.protect(digest);
        let ingests = self.0.ingests.borrow();
        let other = ingests.get(digest).filter(|_| continues);
        let bytes = other.map(|other| other.bytes.clone()).unwrap_or_default();
        Ok(Partial::own(self, digest, size, bytes))
    }

    async fn stage(&self, lease: &Held) -> Result<Staged> {
        self.enter("stage");
        Ok(Staged {
            store: self.clone(),
            lease: lease.clone(),
            bytes: RefCell::default(),
        })
    }

    async fn stage_like(&self, lease: &Held, like: &Digest) -> Result<Staged> {
        self.enter("stage_like");
        lease.protect(like);
        self.stage(lease).await
    }

    /// Knows [`codec`] only.
    async fn decompress(&self, body: Bytes) -> Result<Bytes> {
        self.enter("decompress");
        match codec::decompressed(body.whole()) {
            Some(bytes) => Ok(Bytes::of(bytes)),
            None => Err(Error::InvalidArgument("it ends early".to_owned())),
        }
    }

    async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts> {
        self.enter("layer_facts");
        let blobs = self.0.blobs.borrow();
        let bytes = blobs.get(digest).ok_or_else(|| not_found(digest))?;
        let plain = codec::decompressed(bytes.clone());
        let plain = plain.ok_or_else(|| Error::ManifestInvalid("it ends early".to_owned()))?;
        Ok(LayerFacts {
            diff_id: Digest::sha256(&plain),
            size: plain.len() as u64,
        })
    }

    async fn known_layer(&self, digest: &Digest) -> Result<Option<LayerFacts>> {
        self.enter("known_layer");
        let blobs = self.0.blobs.borrow();
        // It was learned when the bytes were good.
        let good = blobs.get(digest).filter(|bytes| digest.verifies(bytes));
        let plain = good.cloned().and_then(codec::decompressed);
        Ok(plain.map(|plain| LayerFacts {
            diff_id: Digest::sha256(&plain),
            size: plain.len() as u64,
        }))
    }

    async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<()> {
        self.enter("expect_diff_ids");
        self.0.expected.borrow_mut().extend_from_slice(layers);
        Ok(())
    }

    async fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        self.enter("blobs");
        let blobs = self.0.blobs.borrow();
        let blobs = blobs.iter();
        Ok(blobs
            .map(|(digest, it)| (digest.clone(), it.len() as u64))
            .collect())
    }

    async fn discard_ingests(&self) -> Result<u64> {
        self.enter("discard_ingests");
        let mut ingests = self.0.ingests.borrow_mut();
        let left = ingests.extract_if(|_, left| !left.is_open);
        Ok(left.map(|(_, left)| left.bytes.len() as u64).sum())
    }

    async fn delete(&self, digests: &[Digest], generation: u64) -> Result<Vec<(Digest, u64)>> {
        self.enter("delete");
        if self.0.names_changed.get() > generation {
            return Err(Error::Conflict("a name changed".to_owned()));
        }
        let mut gone = Vec::new();
        for digest in digests {
            // Each is a batch of its own, as if the host were slow.
            self.act("batch");
            if self.0.names_changed.get() > generation {
                if gone.is_empty() {
                    return Err(Error::Conflict("a name changed".to_owned()));
                }
                break;
            }
            let leases = self.0.leases.borrow();
            if leases.values().any(|leased| leased.contains(digest)) {
                continue;
            }
            if let Some(bytes) = self.0.blobs.borrow_mut().remove(digest) {
                self.0.known.forget(digest);
                gone.push((digest.clone(), bytes.len() as u64));
            }
        }
        self.0.generation.update(|generation| generation + 1);
        Ok(gone)
    }

    async fn verify(&self, digest: &Digest) -> Result<Verdict> {
        self.enter("verify");
        Ok(self.examine(digest))
    }

    async fn note_missing(&self, _digest: &Digest) -> Result<()> {
        self.enter("note_missing");
        Ok(())
    }

    async fn damaged(&self) -> Result<Vec<(Digest, String)>> {
        self.enter("damaged");
        Ok(self.0.known.damaged())
    }

    async fn quarantine(&self, digest: &Digest) -> Result<()> {
        self.enter("quarantine");
        if self.0.known.reason(digest).is_none() {
            let text = format!("blob {digest} is not known to be damaged");
            return Err(Error::Conflict(text));
        }
        self.lose(digest);
        self.0.known.lift(digest);
        Ok(())
    }

    async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<()> {
        self.enter("note_source");
        self.0.known.note_source(digests, repository);
        Ok(())
    }

    async fn sources(&self, digest: &Digest) -> Result<Vec<String>> {
        self.enter("sources");
        Ok(self.0.known.sources(digest))
    }

    async fn recall(&self, subject: &Digest, kind: &str) -> Result<Option<Vec<u8>>> {
        self.enter("recall");
        let is_here = self.has(subject);
        Ok(self.0.known.recall(subject, kind).filter(|_| is_here))
    }

    async fn remember(&self, subject: &Digest, kind: &str, data: Vec<u8>) -> Result<()> {
        self.enter("remember");
        if self.has(subject) {
            self.0.known.remember(subject, kind, data)?;
        }
        Ok(())
    }

    async fn recall_all(&self, subjects: &[Digest], kind: &str) -> Result<Vec<Option<Vec<u8>>>> {
        self.enter("recall_all");
        let recall = |it: &Digest| {
            // What has changed is not what it was made from.
            let bytes = self.bytes(it).filter(|_| self.has(it))?;
            it.verifies(&bytes)
                .then(|| self.0.known.recall(it, kind))
                .flatten()
        };
        Ok(subjects.iter().map(recall).collect())
    }

    async fn remember_all(&self, data: Vec<(Digest, Vec<u8>)>, kind: &str) -> Result<()> {
        self.enter("remember_all");
        for (subject, data) in data {
            if self.has(&subject) {
                self.0.known.remember(&subject, kind, data)?;
            }
        }
        Ok(())
    }

    async fn namespaces(&self) -> Result<Vec<String>> {
        self.enter("namespaces");
        let names = self.0.names.borrow();
        let mut spaces: Vec<String> = names.keys().map(|(space, _)| space.clone()).collect();
        spaces.dedup();
        Ok(spaces)
    }

    fn generation(&self) -> Result<u64> {
        self.enter("generation");
        Ok(self.0.generation.get())
    }

    async fn names(&self, namespace: &str) -> Result<(u64, Vec<Name>)> {
        self.enter("names");
        let names = self.0.names.borrow();
        let names = names.iter().filter(|((space, _), _)| space == namespace);
        let names = names.map(|(_, record)| record.clone()).collect();
        Ok((self.0.generation.get(), names))
    }

    async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64> {
        self.enter("apply");
        let current = self.0.generation.get();
        let lost_races = self.0.lost_races.get();
        if lost_races > 0 {
            self.0.lost_races.set(lost_races - 1);
            return Err(Error::Conflict("the store changed".to_owned()));
        }
        if generation.is_some_and(|expected| expected != current)
            || !changes.iter().all(|change| self.holds(change))
        {
            return Err(Error::Conflict("the store changed".to_owned()));
        }
        for change in &changes {
            if let Change::Set { target, .. } = change
                && !self.has(&target.digest)
                && !changes.iter().any(|it| self.removes(it, target))
            {
                return Err(not_found(&target.digest));
            }
        }
        for change in changes {
            let mut names = self.0.names.borrow_mut();
            match change {
                Change::Set {
                    namespace,
                    name,
                    target,
                    labels,
                    ..
                } => {
                    let now = self.0.milliseconds.get();
                    let key = (namespace, name.clone());
                    let created = names.get(&key).map_or(now, |old| old.created);
                    let updated = now;
                    names.insert(
                        key,
                        Name {
                            name,
                            target,
                            labels,
                            created,
                            updated,
                        },
                    );
                }
                Change::Remove {
                    namespace, name, ..
                } => {
                    names.remove(&(namespace, name));
                }
            }
        }
        self.changed();
        Ok(self.0.generation.get())
    }

    async fn acquire_lease(&self) -> Result<Held> {
        let id = self.0.last_lease.get() + 1;
        self.0.last_lease.set(id);
        self.0.leases.borrow_mut().insert(id, HashSet::new());
        let store = self.clone();
        Ok(Held(Rc::new(Hold { store, id })))
    }
}
