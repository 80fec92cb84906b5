//! A [`Store`](crate::Store) in memory, for tests here and (by the feature `memory`) of what stands on the engine:
//! every rule of the WIT interfaces a host provides, nothing durable.
//!
//! Counts its calls and lets a test act between two of them, to play another
//! process that changes names meanwhile.

pub mod codec;
mod known;
mod leases;
mod store;
mod writing;

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap, HashSet},
    rc::Rc,
    time::Duration,
};

use strata_oci::Digest;

use crate::{Clock, Error, Name, Request, Response, Result, Target, Transport};
pub use leases::Held;
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
