//! Whole blobs, leases and deletion.

use std::time::{Duration, Instant};

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error};

use super::{Fixture, remove, set};

#[tokio::test]
async fn put_verifies_and_get_reads_back() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"right");
    let lie = f
        .store
        .put(&digest, Bytes::from_static(b"wrong"), &lease)
        .await;
    assert!(matches!(lie, Err(Error::DigestMismatch { .. })));
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), None);
    f.store
        .put(&digest, Bytes::from_static(b"right"), &lease)
        .await
        .unwrap();
    f.store
        .put(&digest, Bytes::from_static(b"right"), &lease)
        .await
        .unwrap();
    assert_eq!(f.store.get(&digest, 5).await.unwrap(), "right");
    let small = f.store.get(&digest, 4).await;
    assert!(matches!(
        small,
        Err(Error::TooLarge {
            size: 5,
            limit: 4,
            ..
        })
    ));
    let missing = f.store.get(&Digest::sha256(b"?"), 4).await;
    assert!(matches!(missing, Err(Error::NotFound(_))));
    assert_eq!(f.store.blobs().await.unwrap(), [(digest, 5)]);
}

#[tokio::test]
async fn other_algorithms_are_stored_in_their_directory() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::parse(
        "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    )
    .unwrap();
    f.store
        .put(&digest, Bytes::from_static(b"abc"), &lease)
        .await
        .unwrap();
    assert_eq!(f.store.get(&digest, 3).await.unwrap(), "abc");
    assert!(
        f.directory
            .path()
            .join("blobs/sha512")
            .join(digest.encoded())
            .is_file()
    );
}

#[tokio::test]
async fn a_large_blob_is_read_whole() {
    let f = Fixture::new();
    let bytes = super::noise(1_000_000);
    let digest = f.blob(&bytes).await;
    assert_eq!(f.store.get(&digest, 1_000_000).await.unwrap(), bytes);
    let small = f.store.get(&digest, 999_999).await;
    assert!(matches!(small, Err(Error::TooLarge { limit: 999_999, .. })));
}

#[tokio::test]
async fn leased_blobs_are_not_deleted_until_released() {
    let f = Fixture::new();
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    let lease = f.lease().await;
    assert_eq!(f.store.stat(&a, Some(&lease)).await.unwrap(), Some(1));
    let both = [a.clone(), b.clone()];
    let generation = f.store.generation().unwrap();
    assert_eq!(
        f.store.delete(&both, generation).await.unwrap(),
        [(b.clone(), 1)]
    );
    drop(lease);
    // Deletions do not conflict with each other.
    assert_eq!(
        f.store.delete(&both, generation).await.unwrap(),
        [(a.clone(), 1)]
    );
    assert!(f.store.generation().unwrap() > generation);
    assert_eq!(f.store.stat_all(&both, None).await.unwrap(), [None, None]);
}

#[tokio::test]
async fn delete_conflicts_with_a_change_of_names() {
    let f = Fixture::new();
    let a = f.blob(b"a").await;
    let generation = f.store.generation().unwrap();
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    let result = f.store.delete(std::slice::from_ref(&a), generation).await;
    assert!(matches!(result, Err(Error::Conflict(_))));
    assert_eq!(f.store.stat(&a, None).await.unwrap(), Some(1));
}

/// Whatever the interleaving: if `stat` under a lease saw a blob, it stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stat_under_a_lease_races_with_delete_safely() {
    let f = Fixture::new();
    for round in 0..100_u32 {
        let bytes = round.to_le_bytes();
        let digest = f.blob(&bytes).await;
        let lease = f.lease().await;
        let generation = f.store.generation().unwrap();
        let (store, d) = (f.store.clone(), digest.clone());
        let deleting = tokio::spawn(async move { store.delete(&[d], generation).await });
        let seen = f.store.stat(&digest, Some(&lease)).await.unwrap();
        let deleted = deleting.await.unwrap().unwrap();
        let there = f.store.stat(&digest, None).await.unwrap();
        assert_eq!(seen, there, "round {round}");
        assert_eq!(deleted.is_empty(), there.is_some(), "round {round}");
        drop(lease);
    }
}

#[tokio::test]
async fn locks_are_exclusive_and_end_with_their_lease() {
    let f = Fixture::new();
    let (one, two) = (f.lease().await, f.lease().await);
    assert!(one.lock("prune").await.unwrap());
    assert!(one.lock("prune").await.unwrap(), "it has it already");
    assert!(!two.lock("prune").await.unwrap());
    assert!(two.lock("other").await.unwrap());
    drop(one);
    assert!(two.lock("prune").await.unwrap());
}

#[tokio::test]
async fn six_thousand_blobs_are_deleted_quickly() {
    let f = Fixture::new();
    let mut digests = Vec::new();
    for i in 0..6000_u32 {
        let bytes = i.to_le_bytes();
        let digest = Digest::sha256(&bytes);
        let path = f
            .directory
            .path()
            .join("blobs/sha256")
            .join(digest.encoded());
        std::fs::write(path, bytes).unwrap();
        digests.push(digest);
    }
    // Files that are on the disk are slower to remove than those still in memory only.
    rustix::fs::syncfs(std::fs::File::open(f.directory.path()).unwrap()).unwrap();
    f.store
        .apply(vec![set("x", &0_u32.to_le_bytes())], None)
        .await
        .unwrap();
    let generation = f.store.apply(vec![remove("x")], None).await.unwrap();
    let start = Instant::now();
    assert_eq!(
        f.store.delete(&digests, generation).await.unwrap().len(),
        6000
    );
    println!("deleted 6,000 blobs in {:?}", start.elapsed());
    // Goal 0.2 s; the bound leaves room for a busy machine and a debug build.
    assert!(start.elapsed() < Duration::from_secs(3));
    assert!(f.store.blobs().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn others_change_names_and_take_leases_while_very_many_blobs_are_deleted() {
    let f = Fixture::new();
    f.blob(b"kept").await;
    let digests: Vec<Digest> = (0..8_000_u32)
        .map(|i| {
            let bytes = i.to_le_bytes();
            let digest = Digest::sha256(&bytes);
            std::fs::write(f.file(&digest), bytes).unwrap();
            digest
        })
        .collect();
    let last = digests.last().unwrap().clone();
    let generation = f.store.generation().unwrap();
    let deleting = {
        let (store, digests) = (f.store.clone(), digests.clone());
        tokio::spawn(async move { store.delete(&digests, generation).await })
    };
    // After the first batch, as the generation tells.
    while f.store.generation().unwrap() == generation {
        tokio::task::yield_now().await;
    }
    let lease = f.lease().await;
    let seen = f.store.stat(&last, Some(&lease)).await.unwrap();
    f.store.apply(vec![set("x", b"kept")], None).await.unwrap();
    let gone = deleting.await.unwrap().unwrap();
    assert!(gone.len() < digests.len(), "it came in between");
    let left = f.store.stat_all(&digests, None).await.unwrap();
    let left = left.into_iter().flatten().count();
    assert_eq!(left, digests.len() - gone.len());
    assert_eq!(f.store.stat(&last, None).await.unwrap(), seen);
    let again = f.store.delete(&digests, generation).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
}
