//! Measures a store on the disk it is given: `cargo run --release -p strata-store --example
//! store_speed [DIRECTORY]`. Everything is fsynced as in real use.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for people to run"
)]

use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Change, Digest, Expectation, IngestState, Options, Store, Target};

/// 370 MB in 11 blobs, like a large application image.
const LAYERS: [usize; 11] = [120, 80, 50, 40, 30, 20, 12, 8, 6, 3, 1];
/// One large layer whose digest is not known, in bytes.
const STAGED: usize = 500_000_000;
/// What an HTTP client delivers at once.
const CHUNK: usize = 32 * 1024;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let parent = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let layers: Vec<Bytes> = LAYERS
        .iter()
        .enumerate()
        .map(|(i, mb)| noise(i, mb << 20))
        .collect();
    let digests: Vec<Digest> = layers.iter().map(|layer| Digest::sha256(layer)).collect();
    for parallel in [1, 4, 1, 4] {
        let directory = tempfile::tempdir_in(&parent).unwrap();
        let store = Store::open(directory.path(), Options::default()).unwrap();
        let start = Instant::now();
        pull(&store, &layers, &digests, parallel).await;
        let seconds = start.elapsed().as_secs_f64();
        let megabytes = layers.iter().map(Bytes::len).sum::<usize>() as f64 / 1e6;
        println!(
            "{parallel} parallel: {megabytes:.0} MB in {seconds:.3} s, {:.0} MB/s",
            megabytes / seconds
        );
    }
    drop((layers, digests));
    let directory = tempfile::tempdir_in(&parent).unwrap();
    stage(directory.path()).await;
    let directory = tempfile::tempdir_in(&parent).unwrap();
    names_and_deletion(directory.path()).await;
}

async fn pull(store: &Store, layers: &[Bytes], digests: &[Digest], parallel: usize) {
    let lease = store.acquire_lease().await.unwrap();
    let permits = std::sync::Arc::new(tokio::sync::Semaphore::new(parallel));
    let mut tasks = Vec::new();
    for (layer, digest) in layers.iter().cloned().zip(digests.iter().cloned()) {
        let (store, permits, lease) = (store.clone(), permits.clone(), lease.clone());
        tasks.push(tokio::spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            let size = layer.len() as u64;
            let IngestState::Open(mut ingest) =
                store.open_ingest(&digest, size, &lease).await.unwrap()
            else {
                panic!("not open");
            };
            let mut rest = layer;
            while !rest.is_empty() {
                ingest
                    .write(rest.split_to(rest.len().min(CHUNK)))
                    .await
                    .unwrap();
            }
            ingest.commit().await.unwrap();
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// Three times new content, and once more what is here already.
async fn stage(path: &Path) {
    let store = Store::open(path, Options::default()).unwrap();
    let lease = store.acquire_lease().await.unwrap();
    for seed in [1, 2, 3, 3] {
        let mut rest = noise(seed, STAGED);
        let start = Instant::now();
        let mut stage = store.stage(&lease, None).await.unwrap();
        while !rest.is_empty() {
            stage
                .write(rest.split_to(rest.len().min(CHUNK)))
                .await
                .unwrap();
        }
        let streamed = start.elapsed().as_secs_f64();
        stage.finish().await.unwrap();
        let seconds = start.elapsed().as_secs_f64();
        println!(
            "stage {seed}: {:.0} MB in {seconds:.3} s, {:.0} MB/s; {:.3} s of it to finish",
            STAGED as f64 / 1e6,
            STAGED as f64 / 1e6 / seconds,
            seconds - streamed
        );
    }
    drop(lease);
}

async fn names_and_deletion(path: &Path) {
    const IMAGES: usize = 2000;
    let store = Store::open(path, Options::default()).unwrap();
    let mut digests = Vec::new();
    for i in 0..IMAGES * 3 {
        let bytes = format!("blob {i}");
        let digest = Digest::sha256(bytes.as_bytes());
        std::fs::write(path.join("blobs/sha256").join(digest.encoded()), bytes).unwrap();
        digests.push(digest);
    }
    let set = |i: usize| Change::Set {
        namespace: "images".into(),
        name: format!("docker.io/library/image:{i}"),
        target: Target {
            media_type: "application/vnd.oci.image.manifest.v1+json".into(),
            digest: digests[i].clone(),
            size: format!("blob {i}").len() as u64,
        },
        labels: vec![],
        expected: Expectation::Any,
    };
    time("apply 2,000 names at once", || {
        store.apply((0..IMAGES).map(set).collect(), None)
    })
    .await;
    time("apply one name", || store.apply(vec![set(1)], None)).await;
    time("names, changed", || store.names("images")).await;
    time("names, unchanged", || store.names("images")).await;
    time("flush", || store.flush()).await;
    let rounds: u32 = 100_000;
    let start = Instant::now();
    for _ in 0..rounds {
        store.generation().unwrap();
    }
    println!("generation: {:?}", start.elapsed() / rounds);
    let start = Instant::now();
    for digest in &digests {
        store.get(digest, 1 << 20).await.unwrap();
    }
    println!("get: {:?}", start.elapsed().div_f64(digests.len() as f64));
    let lease = store.acquire_lease().await.unwrap();
    let start = Instant::now();
    for digest in &digests[..1000] {
        store.stat(digest, Some(&lease)).await.unwrap();
    }
    println!(
        "stat under a lease, first time: {:?}",
        start.elapsed() / 1000
    );
    time("stat_all of 5,000 under a lease", || {
        store.stat_all(&digests[1000..], Some(&lease))
    })
    .await;
    let small = Bytes::from_static(b"a manifest");
    let digest = Digest::sha256(&small);
    time("put", || store.put(&digest, small.clone(), &lease)).await;
    drop(lease);
    let remove = |i: usize| Change::Remove {
        namespace: "images".into(),
        name: format!("docker.io/library/image:{i}"),
        expected: Expectation::Any,
    };
    time("remove 2,000 names", || {
        store.apply((0..IMAGES).map(remove).collect(), None)
    })
    .await;
    // Files that are on the disk are slower to remove than those still in memory only.
    rustix::fs::syncfs(std::fs::File::open(path).unwrap()).unwrap();
    let generation = store.generation().unwrap();
    time("delete 6,000 blobs", || store.delete(&digests, generation)).await;
    assert_eq!(store.blobs().await.unwrap().len(), 1);
}

async fn time<T, F: Future<Output = Result<T, strata_store::Error>>>(
    what: &str,
    work: impl FnOnce() -> F,
) {
    let start = Instant::now();
    work().await.unwrap();
    println!("{what}: {:?}", start.elapsed());
}

/// Bytes that do not repeat.
fn noise(seed: usize, length: usize) -> Bytes {
    let mut state = seed as u64 * 0x9E37_79B9_7F4A_7C15 + 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}
