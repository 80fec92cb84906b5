//! Blobs whose bytes are others than they were.

use super::{Subject, ingest, put};
use crate::{Error, Ingest as _, Store as _, Verdict};

pub(super) async fn damage_is_noticed_marked_and_replaced<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let read = put(&store, b"read", &lease).await;
    let verified = put(&store, b"verified", &lease).await;
    subject.flip(&read);
    subject.flip(&verified);
    let before = store.generation().unwrap();
    let got = store.get(&read, 99).await;
    assert!(matches!(got, Err(Error::Damaged(_))), "{got:?}");
    let verdict = store.verify(&verified).await.unwrap();
    assert!(matches!(verdict, Verdict::Damaged(_)), "{verdict:?}");
    assert!(store.generation().unwrap() > before, "damage is news");
    let second = subject.open();
    for digest in [&read, &verified] {
        assert_eq!(second.stat(digest, None).await, Ok(None), "it is not here");
        let body = second.read(digest, 0, None).await;
        assert!(matches!(body, Err(Error::Damaged(_))));
    }
    assert_eq!(second.damaged().await.unwrap().len(), 2);
    // Whoever stores it replaces what is in its place.
    put(&store, b"read", &lease).await;
    let ingest = ingest::<S>(&store, b"verified", &lease).await;
    ingest.write(b"verified".to_vec()).await.unwrap();
    ingest.commit().await.unwrap();
    assert_eq!(store.damaged().await, Ok(vec![]));
    assert_eq!(store.get(&read, 99).await, Ok(b"read".to_vec()));
    assert_eq!(store.verify(&verified).await, Ok(Verdict::Intact(8)));
}

pub(super) async fn what_is_damaged_can_be_put_away<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let digest = put(&store, b"bad", &lease).await;
    let refused = store.quarantine(&digest).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "nobody knows");
    subject.flip(&digest);
    store.verify(&digest).await.unwrap();
    store.quarantine(&digest).await.unwrap();
    assert_eq!(store.verify(&digest).await, Ok(Verdict::Absent));
    assert_eq!(store.damaged().await, Ok(vec![]));
    assert_eq!(store.blobs().await, Ok(vec![]));
}
