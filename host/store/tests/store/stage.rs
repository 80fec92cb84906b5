//! Blobs whose digest is not known before their last byte.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error, Lease, Options, Stage, Store};

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

async fn staged(store: &Store, lease: &Lease, bytes: &[u8]) -> Box<dyn Stage> {
    let mut stage = store.stage(lease, None).await.unwrap();
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
        let digest = Digest::sha256(&bytes);
        let mut stage = staged(&f.store, &lease, &bytes).await;
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
    let digest = Digest::sha256(&bytes);
    drop(staged(&f.store, &lease, &bytes).await);
    wait_for_no_files(&f).await;
    assert!(f.store.blobs().await.unwrap().is_empty());
    assert_eq!(f.store.stage(&lease, None).await.unwrap().offset(), 0);
    let ingest = f.store.open_ingest(&digest, 2_000_000, &lease).await;
    assert_eq!(opened(ingest.unwrap()).offset(), 0);
}

#[tokio::test]
async fn finishing_goes_on_when_nobody_waits() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let stage = staged(&f.store, &lease, b"hello").await;
    let mut finish = Box::pin(stage.finish());
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(finish.as_mut().poll(cx))).await;
    drop((first, finish));
    for _ in 0..200 {
        if f.store.stat(&Digest::sha256(b"hello"), None).await.unwrap() == Some(5) {
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
    let (digest, _) = staged(&f.store, &lease, b"hello")
        .await
        .finish()
        .await
        .unwrap();
    let generation = f.store.generation().unwrap();
    let one = std::slice::from_ref(&digest);
    assert!(f.store.delete(one, generation).await.unwrap().is_empty());
    drop(lease);
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
        let stage = staged(&f.store, &lease, &bytes).await;
        let generation = f.store.generation().unwrap();
        let (store, digest) = (f.store.clone(), Digest::sha256(&bytes));
        let deleting = tokio::spawn(async move { store.delete(&[digest], generation).await });
        let (digest, _) = stage.finish().await.unwrap();
        deleting.await.unwrap().unwrap();
        assert_eq!(f.store.stat(&digest, None).await.unwrap(), Some(4));
        assert_eq!(f.store.get(&digest, 4).await.unwrap(), &bytes[..]);
        drop(lease);
    }
    assert_eq!(files(&f), [] as [PathBuf; 0]);
}

#[tokio::test]
async fn a_stage_keeps_its_lease_until_it_is_finished() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let stage = staged(&f.store, &lease, b"hello").await;
    assert!(lease.lock("operation").await.unwrap());
    drop(lease);
    let other = f.lease().await;
    assert!(!other.lock("operation").await.unwrap());
    let (digest, _) = stage.finish().await.unwrap();
    assert!(other.lock("operation").await.unwrap());
    let generation = f.store.generation().unwrap();
    let one = std::slice::from_ref(&digest);
    assert_eq!(f.store.delete(one, generation).await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_nobody_waits_for_is_discarded_when_its_lease_ends() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let stage = staged(&f.store, &lease, b"hello").await;
    drop((lease, stage.finish()));
    wait_for_no_files(&f).await;
    assert!(f.store.blobs().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stages_of_the_same_content_become_one_blob() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = noise(3_000_000);
    let (one, two) = tokio::join!(
        staged(&f.store, &lease, &bytes),
        staged(&f.store, &lease, &bytes)
    );
    assert_eq!(files(&f).len(), 2);
    let (one, two) = tokio::join!(one.finish(), two.finish());
    let (digest, size) = one.unwrap();
    assert_eq!((digest.clone(), size), two.unwrap());
    assert_eq!(
        f.store.blobs().await.unwrap(),
        [(digest.clone(), 3_000_000)]
    );
    let path = f
        .directory
        .path()
        .join("blobs/sha256")
        .join(digest.encoded());
    let before = fs::metadata(&path).unwrap();
    let third = staged(&f.store, &lease, &bytes).await.finish().await;
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
    let digest = Digest::sha256(b"hello");
    let path = f
        .directory
        .path()
        .join("blobs/sha256")
        .join(digest.encoded());
    fs::write(&path, b"hel").unwrap();
    staged(&f.store, &lease, b"hello")
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
    let mut stage = f.store.stage(&lease, None).await.unwrap();
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
    let stage = staged(&f.store, &lease, b"hello").await;
    assert_eq!(f.store.discard_ingests().await.unwrap(), 0);
    drop(super::open(&f.directory));
    assert_eq!(files(&f).len(), 1);
    assert_eq!(stage.finish().await.unwrap().0, Digest::sha256(b"hello"));
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(f.directory.path(), read_only).unwrap();
    let lease = store.acquire_lease().await.unwrap();
    let refused = store.stage(&lease, None).await;
    assert!(matches!(refused, Err(Error::ReadOnly(_))), "{refused:?}");
}

#[tokio::test]
async fn bytes_like_a_blobs_are_compared_and_written_only_where_they_differ() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let known = noise(700_000);
    let like = Digest::sha256(&known);
    f.store
        .put(&like, Bytes::from(known.clone()), &lease)
        .await
        .unwrap();
    let mut longer = known.clone();
    longer.extend(noise(5));
    let mut changed = known.clone();
    changed[600_000] ^= 1;
    let mut other = noise(300_000);
    other[0] ^= 1;
    let on_disk = || -> u64 {
        let sizes = files(&f).into_iter();
        sizes.map(|it| fs::metadata(it).unwrap().len()).sum()
    };
    for (bytes, written) in [
        (known.clone(), 0),
        (known[..500_000].to_vec(), 0),
        (longer, 700_005),
        (changed, 700_000),
        (other, 300_000),
        (Vec::new(), 0),
    ] {
        let mut stage = f.store.stage(&lease, Some(like.clone())).await.unwrap();
        for chunk in bytes.chunks(10_000) {
            stage.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        stage.sink().flush().await.unwrap();
        assert_eq!(on_disk(), written);
        let finished = stage.finish().await.unwrap();
        assert_eq!(finished, (Digest::sha256(&bytes), bytes.len() as u64));
        let stored = f.store.get(&finished.0, finished.1).await.unwrap();
        assert!(stored == bytes);
    }
}

#[tokio::test]
async fn a_blob_that_is_not_here_is_nothing_to_compare_with() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let like = Digest::sha256(b"absent");
    let mut stage = f.store.stage(&lease, Some(like.clone())).await.unwrap();
    stage.write(Bytes::from_static(b"absent")).await.unwrap();
    assert_eq!(stage.finish().await.unwrap(), (like.clone(), 6));
    assert_eq!(f.store.stat(&like, None).await.unwrap(), Some(6));
}

#[tokio::test]
async fn what_is_compared_with_is_not_deleted_meanwhile() {
    let f = Fixture::new();
    let (first, lease) = (f.lease().await, f.lease().await);
    let known = noise(500_000);
    let like = Digest::sha256(&known);
    f.store
        .put(&like, Bytes::from(known.clone()), &first)
        .await
        .unwrap();
    drop(first);
    let mut stage = f.store.stage(&lease, Some(like.clone())).await.unwrap();
    let generation = f.store.generation().unwrap();
    let gone = f
        .store
        .delete(std::slice::from_ref(&like), generation)
        .await
        .unwrap();
    assert_eq!(gone, []);
    stage.write(Bytes::from(known)).await.unwrap();
    assert_eq!(stage.finish().await.unwrap(), (like, 500_000));
}
