//! Removing blobs.

use super::{Subject, put, set, target};
use crate::{Error, Expectation, Store as _};

pub(super) async fn nothing_goes_after_a_name_changed<S: Subject>(subject: &S) {
    let (store, second) = (subject.open(), subject.open());
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let two = put(&store, b"two", &lease).await;
    drop(lease);
    let (read_at, _) = store.names("images").await.unwrap();
    // Somebody names what is about to be removed.
    let change = vec![set("a", target(&one, 3), Expectation::Any)];
    second.apply(change, None).await.unwrap();
    let refused = store.delete(&[one.clone(), two.clone()], read_at).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    let here = store.stat_all(&[one, two], None).await;
    assert_eq!(here, Ok(vec![Some(3), Some(3)]));
}

pub(super) async fn what_goes_is_told_with_its_size<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let four = put(&store, b"four", &lease).await;
    drop(lease);
    let held = store.acquire_lease().await.unwrap();
    let kept = put(&store, b"kept", &held).await;
    let absent = strata_oci::Digest::sha256(b"absent");
    let generation = store.generation().unwrap();
    let asked = [one.clone(), kept.clone(), absent, four.clone()];
    let mut gone = store.delete(&asked, generation).await.unwrap();
    gone.sort();
    let mut expected = vec![(one, 3), (four, 4)];
    expected.sort();
    assert_eq!(gone, expected);
    assert!(
        store.generation().unwrap() > generation,
        "removal is told by the generation"
    );
    assert_eq!(store.stat(&kept, None).await, Ok(Some(4)));
}
