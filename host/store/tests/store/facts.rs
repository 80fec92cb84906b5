//! Layer facts and promised diff-ids.

use std::io::Write as _;
use std::time::Duration;

use strata_store::backend::*;
use strata_store::{Digest, Error, LayerFacts};

use super::{Fixture, noise, until};

fn facts_of(bytes: &[u8]) -> LayerFacts {
    LayerFacts {
        diff_id: Digest::sha256(bytes),
        size: bytes.len() as u64,
    }
}

#[tokio::test]
async fn facts_follow_the_magic_number() {
    let f = Fixture::new();
    let plain = noise(1_000_000);
    let mut members = gzip(&plain[..400_000]);
    members.extend(gzip(&plain[400_000..]));
    let mut frames = vec![0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, b'x', b'y', b'z'];
    frames.extend(zstd::encode_all(&plain[..1], 1).unwrap());
    frames.extend([0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0]);
    frames.extend(zstd::encode_all(&plain[1..], 3).unwrap());
    for layer in [
        plain.clone(),
        gzip(&plain),
        members,
        frames,
        bzip2(&plain),
        xz(&plain),
    ] {
        let digest = f.blob(&layer).await;
        assert_eq!(
            f.store.layer_facts(&digest).await.unwrap(),
            facts_of(&plain)
        );
    }
    let empty = f.blob(b"").await;
    assert_eq!(f.store.layer_facts(&empty).await.unwrap(), facts_of(b""));
}

#[tokio::test]
async fn a_tar_is_plain_whatever_its_first_file_is_called() {
    let f = Fixture::new();
    let mut tar = vec![0; 1024];
    tar[..3].copy_from_slice(&[0x1f, 0x8b, 0x08]);
    tar[257..262].copy_from_slice(b"ustar");
    let digest = f.blob(&tar).await;
    assert_eq!(f.store.layer_facts(&digest).await.unwrap(), facts_of(&tar));
}

#[tokio::test]
async fn broken_and_absent_layers_are_told_apart() {
    let f = Fixture::new();
    let whole = gzip(&noise(100_000));
    let mut trailing = whole.clone();
    trailing.extend(b"garbage");
    let zstd = zstd::encode_all(&noise(100_000)[..], 1).unwrap();
    for broken in [
        &whole[..50_000],
        &trailing,
        &zstd[..50_000],
        b"\x1f\x8b\x08",
        b"BZh91AY&SY",
        b"\xfd7zXZ\0\0",
    ] {
        let digest = f.blob(broken).await;
        let result = f.store.layer_facts(&digest).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
    }
    let absent = f.store.layer_facts(&Digest::sha256(b"absent")).await;
    assert!(matches!(absent, Err(Error::NotFound(_))));
}

#[tokio::test]
async fn a_huge_zstd_window_is_refused() {
    let f = Fixture::new();
    // A frame header that asks for a window of 2^41 bytes: magic, descriptor, window descriptor.
    let digest = f
        .blob(&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xf8, 0x01, 0x00, 0x00])
        .await;
    let result = f.store.layer_facts(&digest).await;
    assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
}

/// Waits for the background check: until facts are wrong as told.
async fn wait_for_mismatch(f: &Fixture, digest: &Digest) -> Error {
    for _ in 0..200 {
        if let Err(error) = f.store.layer_facts(digest).await {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no mismatch was found");
}

#[tokio::test]
async fn a_broken_promise_is_found_and_remembered() {
    let f = Fixture::new();
    let layer = gzip(b"really this");
    let digest = f.blob(&layer).await;
    let promised = Digest::sha256(b"something else");
    f.store
        .expect_diff_ids(&[(digest.clone(), promised.clone())])
        .await
        .unwrap();
    let error = wait_for_mismatch(&f, &digest).await;
    let Error::DigestMismatch { expected, actual } = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (expected, actual),
        (promised, Digest::sha256(b"really this"))
    );
    let f = f.reopen();
    assert!(f.store.layer_facts(&digest).await.is_err());
    // Another image that describes the layer rightly clears it.
    f.store
        .expect_diff_ids(&[(digest.clone(), Digest::sha256(b"really this"))])
        .await
        .unwrap();
    assert_eq!(
        f.store.layer_facts(&digest).await.unwrap(),
        facts_of(b"really this")
    );
}

#[tokio::test]
async fn promises_are_checked_whatever_is_in_the_place_of_the_queues_lock() {
    let f = Fixture::new();
    let lock = f.directory.path().join(".strata/facts.lock");
    std::fs::create_dir_all(lock.join("x")).unwrap();
    let digest = f.blob(&gzip(b"really this")).await;
    let promised = [(digest.clone(), Digest::sha256(b"something else"))];
    f.store.expect_diff_ids(&promised).await.unwrap();
    for _ in 0..200 {
        if std::fs::symlink_metadata(&lock).is_ok_and(|found| found.is_file()) {
            wait_for_mismatch(&f, &digest).await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the queue was not worked off");
}

#[tokio::test]
async fn queued_promises_survive_a_restart_and_wait_for_ingests() {
    let directory = tempfile::tempdir().unwrap();
    let quiet = strata_store::Options {
        background_checks: false,
        ..Default::default()
    };
    let store = strata_store::Store::open(directory.path(), quiet).unwrap();
    let digest = super::blob(&store, &gzip(b"real")).await;
    store
        .expect_diff_ids(&[(digest.clone(), Digest::sha256(b"other"))])
        .await
        .unwrap();
    drop(store);
    let f = Fixture {
        store: super::open(&directory),
        directory,
    };
    for _ in 0..200 {
        let database = rusqlite::Connection::open(f.directory.path().join(".strata/store.db"));
        let pending: i64 = database
            .unwrap()
            .query_row(
                "SELECT count(*) FROM checks WHERE state = 'pending'",
                [],
                |r| r.get(0),
            )
            .unwrap();
        if pending == 0 {
            assert!(f.store.layer_facts(&digest).await.is_err());
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the queue was not worked off");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_ask_at_once_get_the_same_answer() {
    let f = Fixture::new();
    let plain = noise(4_000_000);
    let digest = f.blob(&gzip(&plain)).await;
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, digest) = (f.store.clone(), digest.clone());
            tokio::spawn(async move { store.layer_facts(&digest).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), facts_of(&plain));
    }
}

/// What a disk may make of these bytes.
fn harmed(bytes: &[u8]) -> [Vec<u8>; 3] {
    let mut flipped = bytes.to_vec();
    flipped[bytes.len() / 2] ^= 1;
    let mut longer = bytes.to_vec();
    longer.push(0);
    [flipped, bytes[..bytes.len() - 3].to_vec(), longer]
}

#[tokio::test]
async fn a_damaged_layer_has_no_facts_until_it_is_replaced() {
    let plain = noise(300_000);
    for whole in [
        plain.clone(),
        gzip(&plain),
        zstd::encode_all(&plain[..], 1).unwrap(),
    ] {
        for bytes in harmed(&whole) {
            let f = Fixture::new();
            let digest = f.blob(&whole).await;
            std::fs::write(f.file(&digest), bytes).unwrap();
            let result = f.store.layer_facts(&digest).await;
            assert!(matches!(result, Err(Error::Damaged { .. })), "{result:?}");
            assert_eq!(f.store.known_layer_facts(&digest).await.unwrap(), None);
            assert_eq!(f.store.damaged().await.unwrap().len(), 1);
            f.blob(&whole).await;
            assert_eq!(
                f.store.layer_facts(&digest).await.unwrap(),
                facts_of(&plain)
            );
        }
    }
}

#[tokio::test]
async fn a_promise_about_a_damaged_layer_is_checked_once_it_is_replaced() {
    let plain = noise(100_000);
    let whole = gzip(&plain);
    for bytes in harmed(&whole) {
        let directory = tempfile::tempdir().unwrap();
        let quiet = strata_store::Options {
            background_checks: false,
            ..Default::default()
        };
        let store = strata_store::Store::open(directory.path(), quiet).unwrap();
        let digest = super::blob(&store, &whole).await;
        let other = super::blob(&store, &gzip(b"other")).await;
        let promises = [
            (digest.clone(), Digest::sha256(&plain)),
            (other.clone(), Digest::sha256(b"other")),
        ];
        store.expect_diff_ids(&promises).await.unwrap();
        drop(store);
        let file = directory.path().join("blobs/sha256").join(digest.encoded());
        std::fs::write(file, bytes).unwrap();
        let f = Fixture {
            store: super::open(&directory),
            directory,
        };
        until(async || f.store.damaged().await.unwrap().len() == 1).await;
        // It holds up no other.
        until(async || f.store.known_layer_facts(&other).await.unwrap().is_some()).await;
        assert_eq!(f.store.known_layer_facts(&digest).await.unwrap(), None);
        f.blob(&whole).await;
        until(async || f.store.known_layer_facts(&digest).await.unwrap().is_some()).await;
        assert_eq!(
            f.store.layer_facts(&digest).await.unwrap(),
            facts_of(&plain)
        );
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
