//! Blobs that come in bit by bit.

use strata_oci::Digest;

use super::{Subject, ingest};
use crate::{Error, Ingest as _, IngestState, Store as _};

const BYTES: &[u8] = b"ten bytes!";

pub(super) async fn an_ingest_becomes_visible_with_its_last_byte<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let digest = Digest::sha256(BYTES);
    let ingest = ingest::<S>(&store, BYTES, &lease).await;
    assert_eq!(ingest.offset(), 0);
    let body = subject.body(BYTES[..4].to_vec());
    assert_eq!(ingest.append(body).await, Ok(4));
    assert_eq!(ingest.write(BYTES[4..].to_vec()).await, Ok(10));
    assert_eq!(ingest.offset(), 10);
    assert_eq!(store.stat(&digest, None).await, Ok(None));
    ingest.commit().await.unwrap();
    assert_eq!(store.get(&digest, 10).await, Ok(BYTES.to_vec()));
    drop(ingest);
    let opened = store.open_ingest(&digest, 10, &lease).await;
    assert!(matches!(opened, Ok(IngestState::Present)));
    let opened = store.open_ingest(&digest, 11, &lease).await;
    assert!(
        matches!(opened, Err(Error::ManifestInvalid(_))),
        "another size"
    );
}

pub(super) async fn one_writes_and_others_know<S: Subject>(subject: &S) {
    let (store, second) = (subject.open(), subject.open());
    let lease = store.acquire_lease().await.unwrap();
    let other = second.acquire_lease().await.unwrap();
    let digest = Digest::sha256(BYTES);
    let ingest = ingest::<S>(&store, BYTES, &lease).await;
    ingest.write(BYTES[..4].to_vec()).await.unwrap();
    for store in [&store, &second] {
        let opened = store.open_ingest(&digest, 10, &other).await.unwrap();
        assert!(matches!(opened, IngestState::Busy(4)));
    }
    drop(ingest);
    let opened = second.open_ingest(&digest, 10, &other).await.unwrap();
    assert!(matches!(opened, IngestState::Open(it) if it.offset() == 4));
}

pub(super) async fn what_was_written_is_gone_on_with<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let first = ingest::<S>(&store, BYTES, &lease).await;
    let cut = first.append(subject.cut(BYTES[..6].to_vec())).await;
    assert!(matches!(cut, Err(Error::Unavailable(_))), "{cut:?}");
    drop(first);
    drop(lease);
    // As after a crash.
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let second = ingest::<S>(&store, BYTES, &lease).await;
    assert_eq!(second.offset(), 6);
    second.write(BYTES[6..].to_vec()).await.unwrap();
    second.commit().await.unwrap();
    let digest = Digest::sha256(BYTES);
    assert_eq!(store.get(&digest, 10).await, Ok(BYTES.to_vec()));
}

pub(super) async fn wrong_bytes_are_forgotten_and_too_few_kept<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let digest = Digest::sha256(BYTES);
    let ingest = ingest::<S>(&store, BYTES, &lease).await;
    ingest.write(b"too".to_vec()).await.unwrap();
    let early = ingest.commit().await;
    assert!(matches!(early, Err(Error::InvalidArgument(_))), "{early:?}");
    assert_eq!(ingest.offset(), 3, "they are kept");
    let long = ingest.write(b"many bytes".to_vec()).await;
    assert!(matches!(long, Err(Error::InvalidArgument(_))), "{long:?}");
    ingest.reset().await.unwrap();
    assert_eq!(ingest.offset(), 0);
    ingest.write(b"ten others".to_vec()).await.unwrap();
    let wrong = ingest.commit().await;
    assert!(matches!(wrong, Err(Error::DigestMismatch { .. })));
    assert_eq!(store.stat(&digest, None).await, Ok(None));
    assert_eq!(ingest.offset(), 0, "they are forgotten");
    ingest.write(BYTES.to_vec()).await.unwrap();
    ingest.commit().await.unwrap();
    assert_eq!(store.stat(&digest, None).await, Ok(Some(10)));
}

pub(super) async fn one_of_its_own_is_nobody_elses<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let digest = Digest::sha256(BYTES);
    let shared = ingest::<S>(&store, BYTES, &lease).await;
    shared.write(BYTES[..4].to_vec()).await.unwrap();
    for (continues, offset) in [(true, 4), (false, 0)] {
        let own = store.open_own_ingest(&digest, 10, continues, &lease);
        let own = own.await.unwrap();
        assert_eq!(own.offset(), offset);
        own.write(b"xx".to_vec()).await.unwrap();
        assert_eq!(shared.offset(), 4, "nobody else's changed");
    }
    let own = store.open_own_ingest(&digest, 10, true, &lease);
    let own = own.await.unwrap();
    own.write(BYTES[4..].to_vec()).await.unwrap();
    own.commit().await.unwrap();
    assert_eq!(store.get(&digest, 10).await, Ok(BYTES.to_vec()));
}

pub(super) async fn only_what_nobody_writes_is_discarded<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let left = ingest::<S>(&store, b"left behind", &lease).await;
    left.write(b"left".to_vec()).await.unwrap();
    drop(left);
    let open = ingest::<S>(&store, BYTES, &lease).await;
    open.write(BYTES[..4].to_vec()).await.unwrap();
    assert_eq!(store.discard_ingests().await, Ok(4));
    assert_eq!(open.offset(), 4);
    open.write(BYTES[4..].to_vec()).await.unwrap();
    open.commit().await.unwrap();
    let left = ingest::<S>(&store, b"left behind", &lease).await;
    assert_eq!(left.offset(), 0);
}
