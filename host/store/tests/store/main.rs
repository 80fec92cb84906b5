//! The promises of the store, one test each, on a real disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "tests"
)]

mod broken;
mod content;
mod damage;
mod derived;
mod facts;
mod full_disk;
mod index;
mod ingest;
mod leases;
mod names;
mod open;
mod places;
mod processes;
mod rows;
mod stage;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{
    Change, Digest, Expectation, Ingest, IngestState, Lease, Options, Store, Target,
};
use tempfile::TempDir;

/// A store in a directory of its own, which goes with it.
struct Fixture {
    store: Store,
    directory: TempDir,
}

impl Fixture {
    fn new() -> Fixture {
        let directory = tempfile::tempdir().unwrap();
        Fixture {
            store: open(&directory),
            directory,
        }
    }

    /// Closes the store and opens it again.
    fn reopen(self) -> Fixture {
        let Fixture { store, directory } = self;
        drop(store);
        Fixture {
            store: open(&directory),
            directory,
        }
    }

    /// Stores a blob without lasting protection.
    async fn blob(&self, bytes: &[u8]) -> Digest {
        blob(&self.store, bytes).await
    }

    /// The file of a blob.
    fn file(&self, digest: &Digest) -> std::path::PathBuf {
        let folder = self.directory.path().join("blobs/sha256");
        folder.join(digest.encoded())
    }

    async fn lease(&self) -> Lease {
        self.store.acquire_lease().await.unwrap()
    }

    /// Names of name space `images` with their targets.
    async fn images(&self) -> Vec<(String, Digest)> {
        images(&self.store).await
    }
}

fn open(directory: &TempDir) -> Store {
    Store::open(directory.path(), Options::default()).unwrap()
}

async fn images(store: &Store) -> Vec<(String, Digest)> {
    let (_, names) = store.names("images").await.unwrap();
    names
        .iter()
        .map(|name| (name.name.clone(), name.target.digest.clone()))
        .collect()
}

async fn blob(store: &Store, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    let lease = store.acquire_lease().await.unwrap();
    store
        .put(&digest, Bytes::copy_from_slice(bytes), &lease)
        .await
        .unwrap();
    drop(lease);
    digest
}

fn target(bytes: &[u8]) -> Target {
    Target {
        media_type: "application/vnd.oci.image.manifest.v1+json".into(),
        digest: Digest::sha256(bytes),
        size: bytes.len() as u64,
    }
}

fn set(name: &str, bytes: &[u8]) -> Change {
    set_if(name, bytes, Expectation::Any)
}

fn set_if(name: &str, bytes: &[u8], expected: Expectation) -> Change {
    Change::Set {
        namespace: "images".into(),
        name: name.into(),
        target: target(bytes),
        labels: vec![],
        expected,
    }
}

fn remove(name: &str) -> Change {
    Change::Remove {
        namespace: "images".into(),
        name: name.into(),
        expected: Expectation::Any,
    }
}

fn opened(state: IngestState) -> Box<dyn Ingest> {
    match state {
        IngestState::Open(ingest) => ingest,
        other => panic!("expected an open ingest, found {other:?}"),
    }
}

/// Bytes that compress badly and do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Waits for a condition. Checks step back behind everything else the machine does, so that may take long.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..20_000 {
        if condition().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the condition never held");
}
