//! A store in memory that keeps the rules of `wit/store.wit`.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use strata_oci::Digest;

use crate::{
    Body, Change, Error, Expectation, Ingest, IngestState, LayerFacts, Lease, Name, Result, Stage,
    Store, Target, Verdict, memory::Bytes,
};

#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    open: bool,
}

#[derive(Default)]
pub(crate) struct MemoryStore {
    pub(crate) blobs: RefCell<BTreeMap<Digest, Vec<u8>>>,
    partials: RefCell<BTreeMap<Digest, Partial>>,
    names: RefCell<BTreeMap<String, Name>>,
    generation: Cell<u64>,
    leases: RefCell<BTreeSet<u64>>,
    next_lease: Cell<u64>,
    locks: RefCell<BTreeMap<String, u64>>,
    pub(crate) expected: RefCell<Vec<(Digest, Digest)>>,
    /// Bytes an ingest takes before the disk is full.
    pub(crate) space: Cell<Option<usize>>,
    /// Blobs known to have other bytes than they should.
    damaged: RefCell<BTreeSet<Digest>>,
    /// Where blobs came from, in the order it was noted.
    pub(crate) sources: RefCell<Vec<(Digest, String)>>,
    /// How often `apply` has to lose against others first.
    pub(crate) conflicts: Cell<u32>,
}

impl MemoryStore {
    /// Puts bytes in without any rule.
    pub(crate) fn plant(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::sha256(bytes);
        self.blobs
            .borrow_mut()
            .insert(digest.clone(), bytes.to_vec());
        digest
    }

    /// Gives a blob other bytes, as a bad disk would; whether that is known.
    pub(crate) fn damage(&self, digest: &Digest, bytes: &[u8], is_known: bool) {
        let mut blobs = self.blobs.borrow_mut();
        blobs.insert(digest.clone(), bytes.to_vec());
        if is_known {
            self.damaged.borrow_mut().insert(digest.clone());
        }
    }

    /// The bytes of a blob not known to be damaged.
    fn present(&self, digest: &Digest) -> Option<Vec<u8>> {
        let is_damaged = self.damaged.borrow().contains(digest);
        let blobs = self.blobs.borrow();
        blobs.get(digest).filter(|_| !is_damaged).cloned()
    }

    fn publish(&self, digest: &Digest, bytes: Vec<u8>) {
        self.damaged.borrow_mut().remove(digest);
        self.blobs.borrow_mut().insert(digest.clone(), bytes);
    }

    /// Leaves a download behind.
    pub(crate) fn plant_partial(&self, digest: &Digest, bytes: &[u8]) {
        let partial = Partial {
            bytes: bytes.to_vec(),
            open: false,
        };
        self.partials.borrow_mut().insert(digest.clone(), partial);
    }

    /// Bytes of a download left behind.
    pub(crate) fn partial(&self, digest: &Digest) -> Option<usize> {
        let partials = self.partials.borrow();
        let partial = partials.get(digest)?;
        assert!(!partial.open, "nobody writes {digest} any more");
        Some(partial.bytes.len())
    }

    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.blobs.borrow().contains_key(digest)
    }

    /// `name -> short digest [labels]`, in name order.
    pub(crate) fn listed(&self) -> Vec<String> {
        let names = self.names.borrow();
        let lines = names.values().map(|name| {
            let labels: Vec<String> = name
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            let short = name.target.digest.short();
            format!("{} -> {short} [{}]", name.name, labels.join(" "))
        });
        lines.collect()
    }

    pub(crate) fn target(&self, name: &str) -> Option<Target> {
        Some(self.names.borrow().get(name)?.target.clone())
    }

    /// No lease is left, and no name without content.
    pub(crate) fn check(&self) {
        assert!(self.leases.borrow().is_empty(), "a lease was left");
        for name in self.names.borrow().values() {
            assert!(
                self.has(&name.target.digest),
                "{} has no content",
                name.name
            );
        }
        for (digest, bytes) in &*self.blobs.borrow() {
            assert!(digest.verifies(bytes), "{digest} has other bytes");
        }
    }
}

pub(crate) struct MemoryIngest {
    store: Rc<MemoryStore>,
    digest: Digest,
    size: u64,
    /// The bytes of one that is nobody else's.
    own: Option<RefCell<Vec<u8>>>,
}

impl MemoryIngest {
    fn edit<R>(&self, edit: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        if let Some(own) = &self.own {
            return edit(&mut own.borrow_mut());
        }
        let mut partials = self.store.partials.borrow_mut();
        edit(&mut partials.entry(self.digest.clone()).or_default().bytes)
    }
}

impl Drop for MemoryIngest {
    fn drop(&mut self) {
        let mut partials = self.store.partials.borrow_mut();
        if self.own.is_none()
            && let Some(partial) = partials.get_mut(&self.digest)
        {
            partial.open = false;
        }
    }
}

impl Ingest for MemoryIngest {
    type Body = Bytes;

    fn offset(&self) -> u64 {
        self.edit(|bytes| bytes.len() as u64)
    }

    async fn append(&self, mut body: Bytes) -> Result<u64> {
        while let Some(piece) = body.chunk().await? {
            let length = self.edit(|bytes| bytes.len()) + piece.len();
            if self.store.space.get().is_some_and(|space| length > space) {
                return Err(Error::NoSpace("no space left on device".to_owned()));
            }
            if length as u64 > self.size {
                return Err(Error::InvalidArgument("longer than its size".to_owned()));
            }
            self.edit(|bytes| bytes.extend_from_slice(&piece));
        }
        Ok(self.offset())
    }

    async fn write(&self, _bytes: Vec<u8>) -> Result<u64> {
        unimplemented!("a pull appends bodies")
    }

    async fn commit(&self) -> Result<()> {
        let bytes = self.edit(|bytes| bytes.clone());
        if (bytes.len() as u64) < self.size {
            return Err(Error::InvalidArgument("too few bytes".to_owned()));
        }
        let actual = Digest::of(self.digest.algorithm(), &bytes);
        self.edit(Vec::clear);
        if actual != self.digest {
            return Err(Error::DigestMismatch {
                expected: self.digest.clone(),
                actual,
            });
        }
        if self.own.is_none() {
            self.store.partials.borrow_mut().remove(&self.digest);
        }
        self.store.publish(&self.digest, bytes);
        Ok(())
    }

    async fn reset(&self) -> Result<()> {
        self.edit(Vec::clear);
        Ok(())
    }
}

/// There are none.
pub(crate) enum NoStage {}

impl Stage for NoStage {
    async fn write(&self, _bytes: Vec<u8>) -> Result<()> {
        match *self {}
    }

    async fn finish(&self) -> Result<(Digest, u64)> {
        match *self {}
    }
}

impl Store for Rc<MemoryStore> {
    type Body = Bytes;
    type Ingest = MemoryIngest;
    type Stage = NoStage;
    type Lease = Held;

    async fn stat(&self, digest: &Digest, _lease: Option<&Held>) -> Result<Option<u64>> {
        Ok(self.present(digest).map(|bytes| bytes.len() as u64))
    }

    async fn stat_all(&self, digests: &[Digest], lease: Option<&Held>) -> Result<Vec<Option<u64>>> {
        let mut sizes = Vec::new();
        for digest in digests {
            sizes.push(self.stat(digest, lease).await?);
        }
        Ok(sizes)
    }

    async fn get(&self, digest: &Digest, limit: u64) -> Result<Vec<u8>> {
        match self.blobs.borrow().get(digest) {
            Some(bytes) if bytes.len() as u64 > limit => {
                Err(Error::QuotaExceeded(format!("{digest} is too large")))
            }
            Some(bytes) if !digest.verifies(bytes) => {
                self.damaged.borrow_mut().insert(digest.clone());
                Err(Error::Damaged(format!("{digest} is damaged")))
            }
            Some(bytes) => Ok(bytes.clone()),
            None => Err(Error::NotFound(format!("no {digest}"))),
        }
    }

    async fn read(&self, digest: &Digest, _offset: u64, _length: Option<u64>) -> Result<Bytes> {
        let bytes = self.get(digest, u64::MAX).await?;
        Ok(Bytes::of(bytes))
    }

    async fn put(&self, digest: &Digest, data: Vec<u8>, _lease: &Held) -> Result<()> {
        assert!(digest.verifies(&data), "unverified bytes reached the store");
        self.publish(digest, data);
        Ok(())
    }

    async fn open_ingest(
        &self,
        digest: &Digest,
        size: u64,
        _lease: &Held,
    ) -> Result<IngestState<MemoryIngest>> {
        match self.present(digest) {
            Some(bytes) if bytes.len() as u64 == size => return Ok(IngestState::Present),
            Some(bytes) if digest.verifies(&bytes) => {
                return Err(Error::ManifestInvalid(format!("{digest} has another size")));
            }
            _ => {}
        }
        let mut partials = self.partials.borrow_mut();
        let partial = partials.entry(digest.clone()).or_default();
        if partial.open {
            return Ok(IngestState::Busy(partial.bytes.len() as u64));
        }
        partial.open = true;
        Ok(IngestState::Open(MemoryIngest {
            store: self.clone(),
            digest: digest.clone(),
            size,
            own: None,
        }))
    }

    async fn open_own_ingest(
        &self,
        digest: &Digest,
        size: u64,
        continues: bool,
        _lease: &Held,
    ) -> Result<MemoryIngest> {
        let partials = self.partials.borrow();
        let partial = partials.get(digest).filter(|_| continues);
        let partial = partial.map(|partial| partial.bytes.clone());
        Ok(MemoryIngest {
            store: self.clone(),
            digest: digest.clone(),
            size,
            own: Some(RefCell::new(partial.unwrap_or_default())),
        })
    }

    async fn stage(&self, _lease: &Held) -> Result<NoStage> {
        unimplemented!("a pull knows its digests")
    }

    async fn stage_like(&self, _lease: &Held, _like: &Digest) -> Result<NoStage> {
        unimplemented!("a pull knows its digests")
    }

    async fn decompress(&self, body: Bytes) -> Result<Bytes> {
        Ok(body)
    }

    async fn layer_facts(&self, digest: &Digest) -> Result<LayerFacts> {
        let bytes = self.get(digest, u64::MAX).await?;
        Ok(LayerFacts {
            diff_id: Digest::sha256(&bytes),
            size: bytes.len() as u64,
        })
    }

    async fn known_layer(&self, _digest: &Digest) -> Result<Option<LayerFacts>> {
        Ok(None)
    }

    async fn expect_diff_ids(&self, layers: &[(Digest, Digest)]) -> Result<()> {
        self.expected.borrow_mut().extend_from_slice(layers);
        Ok(())
    }

    async fn blobs(&self) -> Result<Vec<(Digest, u64)>> {
        unimplemented!("a pull lists no blobs")
    }

    async fn discard_ingests(&self) -> Result<u64> {
        unimplemented!("a pull discards nothing")
    }

    async fn delete(&self, _digests: &[Digest], _generation: u64) -> Result<Vec<(Digest, u64)>> {
        unimplemented!("a pull deletes nothing")
    }

    async fn verify(&self, _digest: &Digest) -> Result<Verdict> {
        unimplemented!("a pull leaves that to the ingest")
    }

    async fn note_missing(&self, _digest: &Digest) -> Result<()> {
        unimplemented!("a pull marks nothing")
    }

    async fn damaged(&self) -> Result<Vec<(Digest, String)>> {
        Ok(Vec::new())
    }

    async fn quarantine(&self, _digest: &Digest) -> Result<()> {
        unimplemented!("a pull moves nothing away")
    }

    async fn note_source(&self, digests: &[Digest], repository: &str) -> Result<()> {
        let noted = digests.iter();
        let noted = noted.map(|digest| (digest.clone(), repository.to_owned()));
        self.sources.borrow_mut().extend(noted);
        Ok(())
    }

    async fn sources(&self, _digest: &Digest) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    async fn recall(&self, _subject: &Digest, _kind: &str) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    async fn remember(&self, _subject: &Digest, _kind: &str, _data: Vec<u8>) -> Result<()> {
        Ok(())
    }

    async fn recall_all(&self, subjects: &[Digest], _kind: &str) -> Result<Vec<Option<Vec<u8>>>> {
        Ok(vec![None; subjects.len()])
    }

    async fn remember_all(&self, _data: Vec<(Digest, Vec<u8>)>, _kind: &str) -> Result<()> {
        Ok(())
    }

    async fn namespaces(&self) -> Result<Vec<String>> {
        unimplemented!("a pull knows its name space")
    }

    fn generation(&self) -> Result<u64> {
        Ok(self.generation.get())
    }

    async fn names(&self, namespace: &str) -> Result<(u64, Vec<Name>)> {
        assert_eq!(namespace, "images");
        let names = self.names.borrow().values().cloned().collect();
        Ok((self.generation.get(), names))
    }

    async fn apply(&self, changes: Vec<Change>, generation: Option<u64>) -> Result<u64> {
        let conflict = || Err(Error::Conflict("names changed".to_owned()));
        if self.conflicts.get() > 0 {
            self.conflicts.set(self.conflicts.get() - 1);
            return conflict();
        }
        if generation.is_some_and(|generation| generation != self.generation.get()) {
            return conflict();
        }
        let mut names = self.names.borrow().clone();
        for change in changes {
            let (Change::Set { name, expected, .. } | Change::Remove { name, expected, .. }) =
                &change;
            let now = names.get(name).map(|name| &name.target.digest);
            let holds = match expected {
                Expectation::Any => true,
                Expectation::Absent => now.is_none(),
                Expectation::Target(digest) => now == Some(digest),
            };
            if !holds {
                return conflict();
            }
            match change {
                Change::Set {
                    name,
                    target,
                    labels,
                    ..
                } => {
                    if !self.has(&target.digest) {
                        return Err(Error::NotFound(format!("no {}", target.digest)));
                    }
                    let entry = Name {
                        name: name.clone(),
                        target,
                        labels,
                        created: 0,
                        updated: 0,
                    };
                    names.insert(name, entry);
                }
                Change::Remove { name, .. } => {
                    names.remove(&name);
                }
            }
        }
        *self.names.borrow_mut() = names;
        self.generation.set(self.generation.get() + 1);
        Ok(self.generation.get())
    }

    async fn acquire_lease(&self) -> Result<Held> {
        let id = self.next_lease.get();
        self.next_lease.set(id + 1);
        self.leases.borrow_mut().insert(id);
        let store = self.clone();
        Ok(Held { store, id })
    }
}

/// A lease.
pub(crate) struct Held {
    store: Rc<MemoryStore>,
    id: u64,
}

impl Lease for Held {
    async fn lock(&self, name: &str) -> Result<bool> {
        let mut locks = self.store.locks.borrow_mut();
        Ok(*locks.entry(name.to_owned()).or_insert(self.id) == self.id)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.store.leases.borrow_mut().remove(&self.id);
        let mut locks = self.store.locks.borrow_mut();
        locks.retain(|_, holder| *holder != self.id);
    }
}
