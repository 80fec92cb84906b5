//! What an instance holds is given back with it, whatever call it dies at.
//!
//! Each operation is run again and again: its instance traps at the first call of the store, then
//! at the second, until one run comes through; then the same with its future dropped. After each,
//! and without a new engine, nothing may be locked, leased or half-written.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod integrity;
mod removal;
mod sharing;

use std::{
    io,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
};

use strata_tests::{
    debian::{Content, Entry},
    fault::FaultRegistry,
    image::{Image, Schema},
    layer::{Layer, noise, tar},
    poll::until,
};

use super::Faults;
use crate::{Capabilities, Engine, Result, types};

/// More calls than any operation here makes.
const MOST_CALLS: usize = 400;
/// Bytes of content that is written as it comes: more than what is put at once.
const LARGE: usize = 2 << 20;

/// An operation that is interrupted.
trait Operation {
    /// Makes something to do for it.
    async fn prepare(&self, _world: &World) {}

    /// It itself.
    async fn run(&self, world: &World) -> Result<()>;

    /// Removes what a run may have made, so that the store is as before it once it is pruned.
    async fn undo(&self, world: &World);
}

/// An engine with the image `base:1` and the container `box`, in which a file was changed.
struct World {
    folder: tempfile::TempDir,
    engine: Engine,
    registry: FaultRegistry,
    /// An image of the registry.
    reference: String,
    /// An archive of an image that is not here.
    archive: Vec<u8>,
    /// Blobs when nothing is left over.
    blobs: usize,
    rounds: AtomicUsize,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let capabilities = Capabilities {
            store: folder.path().to_path_buf(),
            ..Capabilities::default()
        };
        let engine = Engine::new(None, capabilities).await.unwrap();
        let registry = FaultRegistry::start().await.unwrap();
        let image = Image::builder(Schema::Oci)
            .layer(Layer::noise(1, LARGE).unwrap(), "COPY one /")
            .layer(Layer::noise(2, LARGE).unwrap(), "COPY two /")
            .build();
        let reference = registry.add("image", "1", &image);
        let mut world = Self {
            folder,
            engine,
            registry,
            reference,
            archive: Vec::new(),
            blobs: 0,
            rounds: AtomicUsize::new(0),
        };
        world.import(3, Some("loaded:1")).await.unwrap();
        let save = world
            .engine
            .save(vec!["loaded:1".to_owned()], Vec::new(), Vec::new());
        world.archive = save.await.unwrap();
        world.remove("loaded:1").await;
        world.import(4, Some("base:1")).await.unwrap();
        world.fill_box().await;
        world.engine.prune(no_filters()).await.unwrap();
        world.blobs = world.engine.shared.store.blobs().await.unwrap().len();
        world
    }

    fn faults(&self) -> &Faults {
        &self.engine.shared.faults
    }

    async fn import(&self, seed: u64, reference: Option<&str>) -> Result<()> {
        let options = types::ImportOptions {
            reference: reference.map(str::to_owned),
            message: None,
            platform: None,
            changes: vec!["CMD [\"sh\"]".to_owned()],
        };
        let tar = io::Cursor::new(file("noise", noise(seed, LARGE)));
        self.engine.import(tar, options, |_| ()).await.map(drop)
    }

    async fn pull(&self, reference: &str) -> Result<()> {
        let options = types::PullOptions {
            reference: reference.to_owned(),
            all_tags: false,
            platforms: Vec::new(),
            all_platforms: false,
            auth: types::RegistryAuth::Anonymous,
        };
        self.engine.pull(options, |_| ()).await.map(drop)
    }

    async fn create(&self, name: &str) -> Result<()> {
        let options = types::CreateOptions {
            image: "base:1".to_owned(),
            name: Some(name.to_owned()),
            platform: None,
            config: None,
        };
        self.engine.create_container(options).await.map(drop)
    }

    async fn copy_in(&self, name: &str) -> Result<()> {
        let tar = io::Cursor::new(file(name, noise(5, LARGE)));
        self.engine.copy_in("box", "/", tar, |_| ()).await
    }

    async fn fill_box(&self) {
        self.create("box").await.unwrap();
        self.copy_in("changed").await.unwrap();
    }

    /// Removes an image that may be here.
    async fn remove(&self, name: &str) {
        match self.engine.remove(name, false, Vec::new()).await {
            Ok(_) | Err(crate::Error::Image(types::Error::NotFound(_))) => {}
            Err(error) => panic!("{name} cannot be removed: {error}"),
        }
    }

    /// Removes a container that may be here.
    async fn remove_container(&self, name: &str) {
        match self.engine.remove_container(name).await {
            Ok(()) | Err(crate::Error::Image(types::Error::NotFound(_))) => {}
            Err(error) => panic!("{name} cannot be removed: {error}"),
        }
    }

    /// Waits, as work that was under way still ends, until everything was given back.
    async fn is_as_before(&self, operation: &impl Operation, what: &str) {
        let store = &self.engine.shared.store;
        let mut last = String::new();
        let freed = until(what, async || {
            // Each time, as a change of names that nobody waits for is made all the same.
            operation.undo(self).await;
            let lease = store.acquire_lease().await.unwrap();
            let mut locks = vec!["prune".to_owned()];
            for container in self.engine.containers().await.unwrap() {
                locks.push(format!("container-{}", container.id));
            }
            for lock in locks {
                if !lease.lock(&lock).await.unwrap() {
                    last = format!("{lock} is locked");
                    return None;
                }
            }
            drop(lease);
            if let Err(error) = self.engine.prune(no_filters()).await {
                last = format!("prune: {error}");
                return None;
            }
            let blobs = store.blobs().await.unwrap().len();
            let partial = self.folder.path().join(".strata/ingest");
            let partial = std::fs::read_dir(partial).unwrap().count();
            last = format!("{blobs} blobs instead of {}, {partial} partial", self.blobs);
            (blobs == self.blobs && partial == 0).then_some(())
        });
        if let Err(error) = freed.await {
            panic!("{error}: {last}");
        }
    }
}

fn file(path: &str, bytes: Vec<u8>) -> Vec<u8> {
    tar(&[Entry {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::File(bytes.into()),
    }])
    .unwrap()
}

fn no_filters() -> types::Filters {
    types::Filters {
        references: Vec::new(),
        labels: Vec::new(),
        without_labels: Vec::new(),
        dangling: None,
        before: Vec::new(),
        since: Vec::new(),
        until: None,
    }
}

/// Interrupts an operation at each of its calls.
async fn interrupt(operation: impl Operation) {
    interrupt_in(&World::new().await, operation).await;
}

/// The same in a world that was made for it.
async fn interrupt_in(world: &World, operation: impl Operation) {
    let mut calls = 0;
    loop {
        operation.prepare(world).await;
        world.faults().trap_after(calls);
        let result = operation.run(world).await;
        if !world.faults().disarm() {
            result.unwrap();
            break;
        }
        let what = format!("a trap at call {calls}");
        world.is_as_before(&operation, &what).await;
        calls += 1;
        assert!(calls < MOST_CALLS, "it never comes through");
    }
    assert!(calls > 0, "it asked nothing of the store");
    operation.undo(world).await;
    for calls in 0..MOST_CALLS {
        operation.prepare(world).await;
        let told = world.faults().tell_after(calls);
        let came_through = {
            let mut run = pin!(operation.run(world));
            tokio::select! {
                biased;
                result = &mut run => {
                    result.unwrap();
                    true
                }
                Ok(()) = told => false,
            }
        };
        world.faults().disarm();
        let what = format!("a drop at call {calls}");
        world.is_as_before(&operation, &what).await;
        if came_through {
            return;
        }
    }
    panic!("it never comes through");
}

struct Pull;

impl Operation for Pull {
    async fn run(&self, world: &World) -> Result<()> {
        world.pull(&world.reference).await
    }

    async fn undo(&self, world: &World) {
        world.remove(&world.reference).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pull() {
    interrupt(Pull).await;
}

struct Push;

impl Push {
    fn reference(world: &World) -> String {
        let round = world.rounds.load(Ordering::Relaxed);
        format!("{}/pushed{round}:1", world.registry.host)
    }
}

impl Operation for Push {
    async fn prepare(&self, world: &World) {
        let reference = Self::reference(world);
        world.engine.tag("base:1", &reference).await.unwrap();
    }

    async fn run(&self, world: &World) -> Result<()> {
        let options = types::PushOptions {
            reference: Self::reference(world),
            all_tags: false,
            platform: None,
            auth: types::RegistryAuth::Anonymous,
        };
        world.engine.push(options, |_| ()).await.map(drop)
    }

    async fn undo(&self, world: &World) {
        world.remove(&Self::reference(world)).await;
        // What one repository has need not be sent again.
        world.rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn push() {
    interrupt(Push).await;
}

struct Save;

impl Operation for Save {
    async fn run(&self, world: &World) -> Result<()> {
        let names = vec!["base:1".to_owned()];
        let save = world.engine.save(names, Vec::new(), Vec::new());
        save.await.map(drop)
    }

    async fn undo(&self, _world: &World) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn save() {
    interrupt(Save).await;
}

struct Load;

impl Operation for Load {
    async fn run(&self, world: &World) -> Result<()> {
        let archive = io::Cursor::new(world.archive.clone());
        let load = world.engine.load(archive, Vec::new(), |_| ());
        load.await.map(drop)
    }

    async fn undo(&self, world: &World) {
        world.remove("loaded:1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn load() {
    interrupt(Load).await;
}

struct Import;

impl Operation for Import {
    async fn run(&self, world: &World) -> Result<()> {
        world.import(6, Some("imported:1")).await
    }

    async fn undo(&self, world: &World) {
        world.remove("imported:1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn import() {
    interrupt(Import).await;
}

struct Commit;

impl Operation for Commit {
    async fn run(&self, world: &World) -> Result<()> {
        let options = types::CommitOptions {
            reference: Some("committed:1".to_owned()),
            comment: String::new(),
            author: String::new(),
            changes: Vec::new(),
            config: None,
        };
        let commit = world.engine.commit("box", options, |_| ());
        commit.await.map(drop)
    }

    async fn undo(&self, world: &World) {
        world.remove("committed:1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn commit() {
    interrupt(Commit).await;
}

struct Create;

impl Operation for Create {
    async fn run(&self, world: &World) -> Result<()> {
        world.create("other").await
    }

    async fn undo(&self, world: &World) {
        world.remove_container("other").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create() {
    interrupt(Create).await;
}

struct CopyIn;

impl Operation for CopyIn {
    async fn run(&self, world: &World) -> Result<()> {
        world.copy_in("copied").await
    }

    async fn undo(&self, world: &World) {
        world.engine.remove_container("box").await.unwrap();
        world.fill_box().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in() {
    interrupt(CopyIn).await;
}

struct CopyOut;

impl Operation for CopyOut {
    async fn run(&self, world: &World) -> Result<()> {
        let copy = world.engine.copy_out("box", "/changed", Vec::new());
        copy.await.map(drop)
    }

    async fn undo(&self, _world: &World) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_out() {
    interrupt(CopyOut).await;
}

struct Export;

impl Operation for Export {
    async fn run(&self, world: &World) -> Result<()> {
        world.engine.export("box", Vec::new()).await.map(drop)
    }

    async fn undo(&self, _world: &World) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn export() {
    interrupt(Export).await;
}

struct Diff;

impl Operation for Diff {
    async fn prepare(&self, world: &World) {
        world.copy_in("other").await.unwrap();
    }

    async fn run(&self, world: &World) -> Result<()> {
        world.engine.changes("box").await.map(drop)
    }

    async fn undo(&self, world: &World) {
        world.remove_container("box").await;
        world.fill_box().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn diff() {
    interrupt(Diff).await;
}

struct Prune;

impl Operation for Prune {
    async fn prepare(&self, world: &World) {
        world.import(7, None).await.unwrap();
    }

    async fn run(&self, world: &World) -> Result<()> {
        world.engine.prune(no_filters()).await.map(drop)
    }

    async fn undo(&self, _world: &World) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn prune() {
    interrupt(Prune).await;
}
