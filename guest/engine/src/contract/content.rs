//! Blobs as wholes.

use strata_oci::Digest;

use super::{Subject, put, whole};
use crate::{Error, Stage as _, Store as _};

pub(super) async fn blobs_are_stored_once_and_read_in_part<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let digest = put(&store, b"0123456789", &lease).await;
    put(&store, b"0123456789", &lease).await;
    let other = Digest::sha256(b"other");
    let asked = [other.clone(), digest.clone()];
    assert_eq!(store.stat_all(&asked, None).await, Ok(vec![None, Some(10)]));
    assert_eq!(store.stat(&digest, None).await, Ok(Some(10)));
    assert_eq!(
        store.blobs().await.unwrap(),
        [(digest.clone(), 10)],
        "it is here once"
    );
    assert_eq!(store.get(&digest, 10).await, Ok(b"0123456789".to_vec()));
    let too_small = store.get(&digest, 9).await;
    assert!(matches!(too_small, Err(Error::QuotaExceeded(_))));
    assert!(matches!(
        store.get(&other, 9).await,
        Err(Error::NotFound(_))
    ));
    assert!(matches!(
        store.read(&other, 0, None).await,
        Err(Error::NotFound(_))
    ));
    for (offset, length, expected) in [
        (0, None, &b"0123456789"[..]),
        (3, None, b"3456789"),
        (3, Some(4), b"3456"),
        (10, None, b""),
        (8, Some(2), b"89"),
    ] {
        let body = store.read(&digest, offset, length).await.unwrap();
        assert_eq!(whole(body).await, expected, "{offset} {length:?}");
    }
    // Another process sees the same.
    let second = subject.open();
    assert_eq!(second.stat(&digest, None).await, Ok(Some(10)));
}

pub(super) async fn what_is_not_what_it_says_is_refused<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let digest = Digest::sha256(b"one");
    let refused = store.put(&digest, b"two".to_vec(), &lease).await;
    assert!(matches!(refused, Err(Error::DigestMismatch { .. })));
    assert_eq!(store.stat(&digest, None).await, Ok(None));
    assert_eq!(store.blobs().await, Ok(vec![]));
}

pub(super) async fn stages_find_out_what_they_are<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let stage = store.stage(&lease).await.unwrap();
    stage.write(b"sta".to_vec()).await.unwrap();
    stage.write(b"ged".to_vec()).await.unwrap();
    assert_eq!(store.blobs().await, Ok(vec![]), "it is not whole");
    let digest = Digest::sha256(b"staged");
    assert_eq!(stage.finish().await, Ok((digest.clone(), 6)));
    drop(stage);
    assert_eq!(store.get(&digest, 6).await, Ok(b"staged".to_vec()));
    let generation = store.generation().unwrap();
    let gone = store.delete(std::slice::from_ref(&digest), generation);
    assert_eq!(gone.await, Ok(vec![]), "the lease holds it");
    // A guess, right or wrong, changes nothing.
    for bytes in [&b"staged"[..], b"other"] {
        let stage = store.stage_like(&lease, &digest).await.unwrap();
        stage.write(bytes.to_vec()).await.unwrap();
        let found = stage.finish().await.unwrap();
        assert_eq!(found, (Digest::sha256(bytes), bytes.len() as u64));
    }
    let dropped = store.stage(&lease).await.unwrap();
    dropped.write(b"dropped".to_vec()).await.unwrap();
    drop(dropped);
    let dropped = Digest::sha256(b"dropped");
    assert_eq!(store.stat(&dropped, None).await, Ok(None));
}
