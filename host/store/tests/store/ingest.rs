//! Streaming in: back-pressure, resume, sharing, lies.

use std::fs;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error, IngestState};

use super::{Fixture, noise, opened};

#[tokio::test]
async fn a_streamed_blob_is_visible_only_after_commit() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = Bytes::from(noise(5_000_000));
    let digest = Digest::sha256(&bytes);
    let mut ingest = opened(
        f.store
            .open_ingest(&digest, 5_000_000, &lease)
            .await
            .unwrap(),
    );
    for chunk in bytes.chunks(10_000) {
        ingest.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    assert_eq!(ingest.offset(), 5_000_000);
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), None);
    ingest.commit().await.unwrap();
    assert_eq!(f.store.get(&digest, 5_000_000).await.unwrap(), bytes);
    let state = f
        .store
        .open_ingest(&digest, 5_000_000, &lease)
        .await
        .unwrap();
    assert!(matches!(state, IngestState::Present));
    assert_eq!(
        fs::read_dir(f.directory.path().join(".strata/ingest"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn an_empty_blob_can_be_ingested() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"");
    let ingest = opened(f.store.open_ingest(&digest, 0, &lease).await.unwrap());
    ingest.commit().await.unwrap();
    assert_eq!(f.store.get(&digest, 0).await.unwrap(), "");
}

#[tokio::test]
async fn a_dropped_ingest_resumes_where_it_was() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = Bytes::from(noise(3_000_000));
    let digest = Digest::sha256(&bytes);
    let mut ingest = opened(
        f.store
            .open_ingest(&digest, 3_000_000, &lease)
            .await
            .unwrap(),
    );
    ingest.write(bytes.slice(..1_234_567)).await.unwrap();
    drop(ingest);
    let mut ingest = opened(
        f.store
            .open_ingest(&digest, 3_000_000, &lease)
            .await
            .unwrap(),
    );
    assert_eq!(ingest.offset(), 1_234_567);
    ingest
        .write(bytes.slice(1_234_567..2_000_000))
        .await
        .unwrap();
    let short = ingest.commit().await;
    assert!(matches!(
        short,
        Err(Error::TooShort {
            expected: 3_000_000,
            actual: 2_000_000
        })
    ));
    let f = f.reopen();
    let lease = f.lease().await;
    let mut ingest = opened(
        f.store
            .open_ingest(&digest, 3_000_000, &lease)
            .await
            .unwrap(),
    );
    assert_eq!(ingest.offset(), 2_000_000);
    ingest.write(bytes.slice(2_000_000..)).await.unwrap();
    ingest.commit().await.unwrap();
}

#[tokio::test]
async fn a_second_ingest_of_a_blob_is_busy() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"hello");
    let mut ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    ingest.write(Bytes::from_static(b"hel")).await.unwrap();
    ingest.sink().flush().await.unwrap();
    let other = f.store.open_ingest(&digest, 5, &lease).await.unwrap();
    assert!(matches!(other, IngestState::Busy(3)), "{other:?}");
}

#[tokio::test]
async fn too_many_bytes_are_refused_and_the_rest_stays_good() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"hello");
    let mut ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    ingest.write(Bytes::from_static(b"hell")).await.unwrap();
    let long = ingest.write(Bytes::from_static(b"o world")).await;
    assert!(matches!(long, Err(Error::TooLong { expected: 5 })));
    assert_eq!(ingest.offset(), 4);
    ingest.write(Bytes::from_static(b"o")).await.unwrap();
    ingest.commit().await.unwrap();
}

#[tokio::test]
async fn bytes_with_another_digest_are_discarded() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"hello");
    let mut ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    ingest.write(Bytes::from_static(b"hallo")).await.unwrap();
    let lie = ingest.commit().await;
    assert!(matches!(lie, Err(Error::DigestMismatch { .. })), "{lie:?}");
    assert_eq!(f.store.stat(&digest, None).await.unwrap(), None);
    let ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    assert_eq!(ingest.offset(), 0);
}

#[tokio::test]
async fn a_resumed_file_torn_by_a_power_cut_is_discarded() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"hello");
    let path = f
        .directory
        .path()
        .join(format!(".strata/ingest/sha256-{}", digest.encoded()));
    fs::write(&path, b"\0\0\0").unwrap();
    let mut ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    assert_eq!(ingest.offset(), 3);
    ingest.write(Bytes::from_static(b"lo")).await.unwrap();
    assert!(matches!(
        ingest.commit().await,
        Err(Error::DigestMismatch { .. })
    ));
    assert!(!path.exists());
    // Longer than the blob: nothing to resume either.
    fs::write(&path, b"hello world").unwrap();
    let ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    assert_eq!(ingest.offset(), 0);
}

#[tokio::test]
async fn reset_starts_over() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"hello");
    let mut ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    ingest.write(Bytes::from_static(b"xyz")).await.unwrap();
    ingest.reset().await.unwrap();
    assert_eq!(ingest.offset(), 0);
    ingest.write(Bytes::from_static(b"hello")).await.unwrap();
    ingest.commit().await.unwrap();
}

#[tokio::test]
async fn a_wrong_size_of_a_present_blob_is_told() {
    let f = Fixture::new();
    let digest = f.blob(b"hello").await;
    let lease = f.lease().await;
    let state = f.store.open_ingest(&digest, 6, &lease).await;
    assert!(matches!(state, Err(Error::Invalid(_))), "{state:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_bounds_what_is_queued() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = Bytes::from(noise(64 << 20));
    let digest = Digest::sha256(&bytes);
    let mut ingest = opened(
        f.store
            .open_ingest(&digest, 64 << 20, &lease)
            .await
            .unwrap(),
    );
    let mut sink = ingest.sink();
    let file = f
        .directory
        .path()
        .join(format!(".strata/ingest/sha256-{}", digest.encoded()));
    let mut rest = bytes.clone();
    let mut waited = false;
    while !rest.is_empty() {
        std::future::poll_fn(|cx| {
            let ready = sink.poll_ready(cx);
            waited |= ready.is_pending();
            ready
        })
        .await
        .unwrap();
        sink.start_send(rest.split_to(rest.len().min(64 << 10)))
            .unwrap();
        let written = fs::metadata(&file).unwrap().len();
        assert!(sink.offset() - written <= (1 << 20) + (64 << 10));
    }
    assert!(waited, "the sender never had to wait");
    sink.flush().await.unwrap();
    assert_eq!(fs::metadata(&file).unwrap().len(), 64 << 20);
    ingest.write(Bytes::new()).await.unwrap();
    ingest.commit().await.unwrap();
    assert!(sink.start_send(Bytes::from_static(b"late")).is_err());
    let ready = std::future::poll_fn(|cx| Poll::Ready(sink.poll_ready(cx))).await;
    assert!(matches!(ready, Poll::Ready(Err(Error::Conflict(_)))));
}

#[tokio::test]
async fn a_slow_download_gets_to_the_file() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let digest = Digest::sha256(b"hello");
    let mut ingest = opened(f.store.open_ingest(&digest, 5, &lease).await.unwrap());
    ingest.write(Bytes::from_static(b"he")).await.unwrap();
    let file = f
        .directory
        .path()
        .join(format!(".strata/ingest/sha256-{}", digest.encoded()));
    for _ in 0..100 {
        if fs::metadata(&file).unwrap().len() == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("two bytes are still not in the file");
}

#[tokio::test]
async fn discarding_leaves_open_ingests_alone() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let (kept, dropped) = (Digest::sha256(b"hello"), Digest::sha256(b"world"));
    for digest in [&kept, &dropped] {
        let mut ingest = opened(f.store.open_ingest(digest, 5, &lease).await.unwrap());
        ingest.write(Bytes::from_static(b"he")).await.unwrap();
        ingest.sink().flush().await.unwrap();
    }
    let ingest = opened(f.store.open_ingest(&kept, 5, &lease).await.unwrap());
    // The other one's worker may still be on its way out.
    drop(opened(
        f.store.open_ingest(&dropped, 5, &lease).await.unwrap(),
    ));
    let mut discarded = 0;
    for _ in 0..100 {
        discarded += f.store.discard_ingests().await.unwrap();
        if discarded > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(discarded, 2);
    assert_eq!(ingest.offset(), 2);
}

/// Threads of this process that hash and write.
fn writing_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read(task.unwrap().path().join("comm")).ok());
    names
        .filter(|name| name.starts_with(b"strata-ingest"))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_stall_cost_no_threads_and_others_go_on() {
    const STALLED: usize = 200;
    let f = Fixture::new();
    let lease = f.lease().await;
    let blobs: Vec<Bytes> = (0..STALLED).map(|i| noise(1000 + i).into()).collect();
    let mut stalled = Vec::new();
    for bytes in &blobs {
        let (digest, size) = (Digest::sha256(bytes), bytes.len() as u64);
        let state = f.store.open_ingest(&digest, size, &lease).await.unwrap();
        let mut ingest = opened(state);
        ingest.write(bytes.slice(..500)).await.unwrap();
        stalled.push(ingest);
    }
    for ingest in &stalled {
        ingest.sink().flush().await.unwrap();
    }
    // Those of other tests are among them.
    assert!(writing_threads() <= 32, "{}", writing_threads());
    let large = noise(3_000_000);
    let digest = Digest::sha256(&large);
    let state = f.store.open_ingest(&digest, 3_000_000, &lease).await;
    let mut ingest = opened(state.unwrap());
    ingest.write(large.into()).await.unwrap();
    ingest.commit().await.unwrap();
    let mut finishing = Vec::new();
    for (mut ingest, bytes) in stalled.into_iter().zip(blobs) {
        finishing.push(tokio::spawn(async move {
            ingest.write(bytes.slice(500..)).await.unwrap();
            ingest.commit().await.unwrap();
        }));
    }
    for finishing in finishing {
        finishing.await.unwrap();
    }
    assert_eq!(f.store.blobs().await.unwrap().len(), STALLED + 1);
}

#[tokio::test]
async fn an_own_ingest_waits_for_no_other_and_leaves_nothing() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let bytes = Bytes::from(noise(3_000_000));
    let (digest, size) = (Digest::sha256(&bytes), 3_000_000);
    let mut other = opened(f.store.open_ingest(&digest, size, &lease).await.unwrap());
    other.write(bytes.slice(..1_000_000)).await.unwrap();
    other.sink().flush().await.unwrap();
    for (continues, start) in [(false, 0), (true, 1_000_000)] {
        let open = f
            .store
            .open_own_ingest(&digest, size, continues, &lease)
            .await;
        let mut own = open.unwrap();
        assert_eq!(own.offset(), start as u64);
        own.write(bytes.slice(start..2_000_000)).await.unwrap();
        own.sink().flush().await.unwrap();
        // Given up: nothing of it stays, and the other one has what it had.
        drop(own);
        assert_eq!(other.offset(), 1_000_000);
        let open = f
            .store
            .open_own_ingest(&digest, size, continues, &lease)
            .await;
        let mut own = open.unwrap();
        own.write(bytes.slice(start..)).await.unwrap();
        own.commit().await.unwrap();
        assert_eq!(f.store.get(&digest, size).await.unwrap(), bytes);
    }
    // What it was given may be wrong.
    let lies = Bytes::from(vec![0; 3_000_000]);
    let open = f.store.open_own_ingest(&digest, size, true, &lease).await;
    let mut own = open.unwrap();
    own.write(lies.slice(1_000_000..)).await.unwrap();
    let error = own.commit().await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    drop(other);
    let ingests = f.directory.path().join(".strata/ingest");
    for _ in 0..200 {
        // The other one's, for whoever continues it.
        if fs::read_dir(&ingests).unwrap().count() == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("an ingest is left");
}
