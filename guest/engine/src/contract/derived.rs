//! What is known of blobs beside their bytes.

use super::{Subject, put};
use crate::Store as _;

pub(super) async fn what_is_derived_goes_with_its_blob<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    let two = put(&store, b"two", &lease).await;
    assert_eq!(store.recall(&one, "kind-1").await, Ok(None));
    let data = b"derived".to_vec();
    store.remember(&one, "kind-1", data.clone()).await.unwrap();
    let few = vec![(one.clone(), b"1".to_vec()), (two.clone(), b"2".to_vec())];
    store.remember_all(few, "few-1").await.unwrap();
    let second = subject.open();
    assert_eq!(second.recall(&one, "kind-1").await, Ok(Some(data)));
    assert_eq!(second.recall(&one, "kind-2").await, Ok(None));
    assert_eq!(second.recall(&two, "kind-1").await, Ok(None));
    let both = [two.clone(), one.clone()];
    let recalled = second.recall_all(&both, "few-1").await;
    assert_eq!(recalled, Ok(vec![Some(b"2".to_vec()), Some(b"1".to_vec())]));
    drop(lease);
    let generation = store.generation().unwrap();
    store.delete(&both, generation).await.unwrap();
    let lease = store.acquire_lease().await.unwrap();
    put(&store, b"one", &lease).await;
    assert_eq!(store.recall(&one, "kind-1").await, Ok(None));
}

pub(super) async fn sources_are_kept_latest_first<S: Subject>(subject: &S) {
    let store = subject.open();
    let lease = store.acquire_lease().await.unwrap();
    let one = put(&store, b"one", &lease).await;
    assert_eq!(store.sources(&one).await, Ok(vec![]));
    for repository in 0..10 {
        let repository = format!("r.example/{repository}");
        let noted = store.note_source(std::slice::from_ref(&one), &repository);
        noted.await.unwrap();
    }
    let again = store.note_source(std::slice::from_ref(&one), "r.example/5");
    again.await.unwrap();
    let sources = store.sources(&one).await.unwrap();
    let expected = [5, 9, 8, 7, 6, 4, 3, 2].map(|it| format!("r.example/{it}"));
    assert_eq!(sources, expected);
}
