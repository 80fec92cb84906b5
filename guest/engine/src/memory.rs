//! A [`Store`] in memory, for tests here and (by the feature `memory`) of what stands on the engine:
//! every rule of WIT `store`, nothing durable.
//!
//! Counts its calls and lets a test act between two of them, to play another
//! process that changes names meanwhile.

pub mod codec;
mod known;
mod writing;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use strata_oci::Digest;

use crate::{
    Change, Clock, Error, Expectation, IngestState, LayerFacts, Lease, Name, Request, Response,
    Result, Store, Target, Transport, Verdict,
};
use writing::Ingests;
pub use writing::{Partial, Staged};

/// What a test does just before a call goes on.
type Hook = Box<dyn FnOnce(&Memory)>;

/// The store. Clones share content.
#[derive(Clone, Default)]
pub struct Memory(Rc<State>);

#[derive(Default)]
struct State {
    blobs: RefCell<BTreeMap<Digest, Vec<u8>>>,
    ingests: RefCell<Ingests>,
    /// Bytes an ingest takes before the disk is full.
    space: Cell<Option<usize>>,
    /// How often `apply` has to lose against others first.
    lost_races: Cell<u32>,
    /// Layers whose diff-ids are to be compared.
    expected: RefCell<Vec<(Digest, Digest)>>,
    names: RefCell<BTreeMap<(String, String), Name>>,
    leases: RefCell<BTreeMap<u64, HashSet<Digest>>>,
    locks: RefCell<HashMap<String, u64>>,
    generation: Cell<u64>,
    names_changed: Cell<u64>,
    last_lease: Cell<u64>,
    milliseconds: Cell<i64>,
    calls: RefCell<Vec<&'static str>>,
    hooks: RefCell<Vec<(&'static str, Hook)>>,
    known: known::Known,
}

impl Memory {
    /// Puts a blob in without a lease.
    pub fn insert(&self, bytes: impl Into<Vec<u8>>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256(&bytes);
        self.publish(&digest, bytes);
        digest
    }

    fn publish(&self, digest: &Digest, bytes: Vec<u8>) {
        self.0.known.lift(digest);
        self.0.blobs.borrow_mut().insert(digest.clone(), bytes);
    }

    /// Takes a blob away as another process would.
    pub fn lose(&self, digest: &Digest) {
        self.0.blobs.borrow_mut().remove(digest);
        self.0.generation.update(|generation| generation + 1);
    }

    /// Whether the blob is here.
    pub fn has(&self, digest: &Digest) -> bool {
        self.0.blobs.borrow().contains_key(digest)
    }

    /// The content of a blob.
    pub fn bytes(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.0.blobs.borrow().get(digest).cloned()
    }

    /// How many blobs are here.
    pub fn len(&self) -> usize {
        self.0.blobs.borrow().len()
    }

    /// Whether no blob is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets a name as another process would.
    pub fn name(&self, namespace: &str, name: &str, target: &Target, labels: &[(&str, &str)]) {
        let now = self.0.milliseconds.get();
        let labels = labels.iter();
        let record = Name {
            name: name.to_owned(),
            target: target.clone(),
            labels: labels.map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
            created: now,
            updated: now,
        };
        let key = (namespace.to_owned(), name.to_owned());
        self.0.names.borrow_mut().insert(key, record);
        self.changed();
    }

    /// The names of a name space.
    pub fn names_of(&self, namespace: &str) -> Vec<String> {
        let names = self.0.names.borrow();
        let names = names.keys().filter(|(space, _)| space == namespace);
        names.map(|(_, name)| name.clone()).collect()
    }

    /// The digest of what the name of an image points at.
    pub fn target_of(&self, name: &str) -> Option<Digest> {
        self.target(name).map(|target| target.digest)
    }

    /// What the name of an image points at.
    pub fn target(&self, name: &str) -> Option<Target> {
        let key = ("images".to_owned(), name.to_owned());
        let names = self.0.names.borrow();
        names.get(&key).map(|record| record.target.clone())
    }

    /// `name -> short digest [labels]` of images, in name order.
    pub fn listed(&self) -> Vec<String> {
        let names = self.0.names.borrow();
        let names = names.iter().filter(|((space, _), _)| space == "images");
        let lines = names.map(|(_, record)| {
            let labels = record.labels.iter();
            let labels: Vec<String> = labels
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let short = record.target.digest.short();
            format!("{} -> {short} [{}]", record.name, labels.join(" "))
        });
        lines.collect()
    }

    /// The layers whose diff-ids are to be compared; forgets them.
    pub fn expected(&self) -> Vec<(Digest, Digest)> {
        self.0.expected.take()
    }

    /// The next `times` changes of names lose against others.
    pub fn lose_races(&self, times: u32) {
        self.0.lost_races.set(times);
    }

    /// Checks that no lease is left, no name without content, and no blob with other bytes.
    ///
    /// # Panics
    /// If there is one.
    pub fn check(&self) {
        assert_eq!(self.leases(), 0, "a lease was left");
        for ((_, name), record) in &*self.0.names.borrow() {
            assert!(self.has(&record.target.digest), "{name} has no content");
        }
        for (digest, bytes) in &*self.0.blobs.borrow() {
            assert!(digest.verifies(bytes), "{digest} has other bytes");
        }
    }

    /// Sets the time of later changes, in milliseconds.
    pub fn at(&self, milliseconds: i64) {
        self.0.milliseconds.set(milliseconds);
    }

    /// How many leases are held.
    pub fn leases(&self) -> usize {
        self.0.leases.borrow().len()
    }

    /// Takes all derived data away, as a host may at any time.
    pub fn forget_derived(&self) {
        self.0.known.forget_derived();
    }

    /// The calls since last asked.
    pub fn calls(&self) -> Vec<&'static str> {
        self.0.calls.take()
    }

    /// Acts once, just before the next `call`, or before `delete` takes the next blob (`batch`).
    pub fn before(&self, call: &'static str, hook: impl FnOnce(&Self) + 'static) {
        self.0.hooks.borrow_mut().push((call, Box::new(hook)));
    }

    fn enter(&self, call: &'static str) {
        self.0.calls.borrow_mut().push(call);
        self.act(call);
    }

    fn act(&self, call: &'static str) {
        let mut hooks = self.0.hooks.borrow_mut();
        let position = hooks.iter().position(|(name, _)| *name == call);
        let hook = position.map(|position| hooks.remove(position));
        drop(hooks);
        if let Some((_, hook)) = hook {
            hook(self);
        }
    }

    fn changed(&self) {
        self.0.generation.update(|generation| generation + 1);
        self.0.names_changed.set(self.0.generation.get());
    }

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

/// A lease. A stage keeps it, too.
#[derive(Clone)]
pub struct Held(Rc<Hold>);

struct Hold {
    store: Memory,
    id: u64,
}

impl Held {
    fn protect(&self, digest: &Digest) {
        let mut leases = self.0.store.0.leases.borrow_mut();
        leases.entry(self.0.id).or_default().insert(digest.clone());
    }
}

impl Lease for Held {
    async fn lock(&self, name: &str) -> Result<bool> {
        let mut locks = self.0.store.0.locks.borrow_mut();
        Ok(*locks.entry(name.to_owned()).or_insert(self.0.id) == self.0.id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let state = &self.store.0;
        state.leases.borrow_mut().remove(&self.id);
        let mut locks = state.locks.borrow_mut();
        locks.retain(|_, holder| *holder != self.id);
    }
}

/// A body at hand.
pub type Bytes = strata_registry::testing::Pieces<Error>;

/// A transport without a network.
pub struct Offline;

impl Transport for Offline {
    type Body = Bytes;
    type Error = Error;

    async fn send(&self, _request: Request<Bytes>) -> Result<Response<Bytes>> {
        Err(Error::Unavailable("no network".to_owned()))
    }
}

/// A clock that stands still.
pub struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> (i64, u32) {
        (0, 0)
    }

    async fn sleep(&self, _duration: Duration) {}

    fn random(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::contract::{Subject, checks};

    impl Subject for Memory {
        type Store = Self;

        fn open(&self) -> Self {
            self.clone()
        }

        fn body(&self, bytes: Vec<u8>) -> Bytes {
            Bytes::in_pieces(bytes, 3)
        }

        fn cut(&self, bytes: Vec<u8>) -> Bytes {
            Bytes::of(bytes).and(Error::Unavailable("cut".to_owned()))
        }

        fn flip(&self, digest: &Digest) {
            self.damage(digest);
        }
    }

    #[test]
    fn the_store_in_memory_keeps_the_contract() {
        for (name, check) in checks::<Memory>() {
            println!("{name}");
            block_on(check(&Memory::default()));
        }
    }
}
