//! Blobs whose digest is not known before their last byte.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use strata_store::{Digest, Error, Options, Stage, Store};

use super::{Fixture, noise, opened};

/// Files of open ingests and stages.
fn files(f: &Fixture) -> Vec<PathBuf> {
    fs::read_dir(f.directory.path().join(".strata/ingest"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect()
}

/// A dropped stage's worker may still be on its way out.
async fn wait_for_no_files(f: &Fixture) {
    for _ in 0..200 {
        if files(f).is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("still there: {:?}", files(f));
}

async fn staged(store: &Store, lease: u64, bytes: &[u8]) -> Stage {
    let mut stage = store.stage(lease).await.unwrap();
    for chunk in bytes.chunks(10_000) {
        stage.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    stage
}

#[tokio::test]
async fn a_staged_blob_is_visible_only_when_finished() {
    let f = Fixture::new();
    let lease = f.lease().await;
    for length in [0, 1, 5_000_000] {
        let bytes = noise(length);
        let digest = Digest::of(&bytes);
        let mut stage = staged(&f.store, lease, &bytes).await;
        stage.write(Bytes::new()).await.unwrap();
        stage.sink().flush().await.unwrap();
        assert_eq!(stage.offset(), length as u64);
        assert_eq!(f.store.stat(&digest, None).await.unwrap(), None);
        let finished = stage.finish().await.unwrap();
        assert_eq!(finished, (digest.clone(), length as u64));
        let stored = f.store.get(&digest, length as u64).await.unwrap();
        assert!(stored == bytes);
        assert_eq!(files(&f), [] as [PathBuf; 0]);
    }
}

#[tokio::test]
async fn a_dropped_stage_leaves_nothing_to_resume() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = noise(2_000_000);
    let digest = Digest::of(&bytes);
    drop(staged(&f.store, lease, &bytes).await);
    wait_for_no_files(&f).await;
    assert!(f.store.blobs().await.unwrap().is_empty());
    assert_eq!(f.store.stage(lease).await.unwrap().offset(), 0);
    let ingest = f.store.open_ingest(&digest, 2_000_000, lease).await;
    assert_eq!(opened(ingest.unwrap()).offset(), 0);
}

#[tokio::test]
async fn finishing_goes_on_when_nobody_waits() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let stage = staged(&f.store, lease, b"hello").await;
    let mut finish = Box::pin(stage.finish());
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(finish.as_mut().poll(cx))).await;
    drop((first, finish));
    for _ in 0..200 {
        if f.store.stat(&Digest::of(b"hello"), None).await.unwrap() == Some(5) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was not finished");
}

#[tokio::test]
async fn a_finished_blob_is_protected_until_its_lease_ends() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let (digest, _) = staged(&f.store, lease, b"hello")
        .await
        .finish()
        .await
        .unwrap();
    let generation = f.store.generation().unwrap();
    let one = std::slice::from_ref(&digest);
    assert!(f.store.delete(one, generation).await.unwrap().is_empty());
    f.store.release_lease(lease);
    assert_eq!(
        f.store.delete(one, generation).await.unwrap(),
        [(digest, 5)]
    );
}

/// Whatever the interleaving: what `finish` returned is here, also if it was here before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finish_races_with_delete_safely() {
    let f = Fixture::new();
    for round in 0..100_u32 {
        let bytes = round.to_le_bytes();
        if round % 2 == 0 {
            f.blob(&bytes).await;
        }
        let lease = f.lease().await;
        let stage = staged(&f.store, lease, &bytes).await;
        let generation = f.store.generation().unwrap();
        let (store, digest) = (f.store.clone(), Digest::of(&bytes));
        let deleting = tokio::spawn(async move { store.delete(&[digest], generation).await });
        let (digest, _) = stage.finish().await.unwrap();
        deleting.await.unwrap().unwrap();
        assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
        assert_eq!(f.store.get(&digest, 4).await.unwrap(), &bytes[..]);
        f.store.release_lease(lease);
    }
    assert_eq!(files(&f), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn without_a_live_lease_nothing_is_staged() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let stage = staged(&f.store, lease, b"hello").await;
    f.store.release_lease(lease);
    let refused = f.store.stage(lease).await;
    assert!(matches!(refused, Err(Error::Invalid(_))), "{refused:?}");
    let late = stage.finish().await;
    assert!(matches!(late, Err(Error::Invalid(_))), "{late:?}");
    assert!(f.store.blobs().await.unwrap().is_empty());
    assert_eq!(files(&f), [] as [PathBuf; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stages_of_the_same_content_become_one_blob() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = noise(3_000_000);
    let (one, two) = tokio::join!(
        staged(&f.store, lease, &bytes),
        staged(&f.store, lease, &bytes)
    );
    assert_eq!(files(&f).len(), 2);
    let (one, two) = tokio::join!(one.finish(), two.finish());
    let (digest, size) = one.unwrap();
    assert_eq!((digest.clone(), size), two.unwrap());
    assert_eq!(
        f.store.blobs().await.unwrap(),
        [(digest.clone(), 3_000_000)]
    );
    let path = f.directory.path().join("blobs/sha256").join(digest.hex());
    let before = fs::metadata(&path).unwrap();
    let third = staged(&f.store, lease, &bytes).await.finish().await;
    assert_eq!(third.unwrap(), (digest, 3_000_000));
    let after = fs::metadata(&path).unwrap();
    assert_eq!(
        (before.ino(), before.ctime_nsec()),
        (after.ino(), after.ctime_nsec()),
        "the blob that was here is kept"
    );
    assert_eq!(files(&f), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_torn_blob_is_replaced() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::of(b"hello");
    let path = f.directory.path().join("blobs/sha256").join(digest.hex());
    fs::write(&path, b"hel").unwrap();
    staged(&f.store, lease, b"hello")
        .await
        .finish()
        .await
        .unwrap();
    assert_eq!(f.store.get(&digest, 5).await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_bounds_what_is_queued() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let mut stage = f.store.stage(lease).await.unwrap();
    let [file] = files(&f).try_into().unwrap();
    let mut rest = Bytes::from(noise(16 << 20));
    while !rest.is_empty() {
        stage
            .write(rest.split_to(rest.len().min(3 << 20)))
            .await
            .unwrap();
        let written = fs::metadata(&file).unwrap().len();
        assert!(stage.offset() - written <= (1 << 20) + (256 << 10));
    }
    assert_eq!(stage.finish().await.unwrap().1, 16 << 20);
}

#[tokio::test]
async fn open_stages_are_not_cleared_away() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let stage = staged(&f.store, lease, b"hello").await;
    assert_eq!(f.store.discard_ingests().await.unwrap(), 0);
    drop(super::open(&f.directory));
    assert_eq!(files(&f).len(), 1);
    assert_eq!(stage.finish().await.unwrap().0, Digest::of(b"hello"));
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(f.directory.path(), read_only).unwrap();
    let lease = store.acquire_lease().await.unwrap();
    let refused = store.stage(lease).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
}
