//! What is held, and for how long.

use strata_oci::Digest;

use super::{Subject, ingest, put};
use crate::{Ingest as _, Lease as _, Store as _};

pub(super) async fn what_a_lease_holds_stays_until_it_ends<S: Subject>(subject: &S) {
    let (store, second) = (subject.open(), subject.open());
    let first = store.acquire_lease().await.unwrap();
    let digest = put(&store, b"held", &first).await;
    let looking = second.acquire_lease().await.unwrap();
    assert_eq!(second.stat(&digest, Some(&looking)).await, Ok(Some(4)));
    let delete = async || {
        let generation = store.generation().unwrap();
        let gone = store.delete(std::slice::from_ref(&digest), generation);
        gone.await.unwrap().len()
    };
    assert_eq!(delete().await, 0, "two hold it");
    drop(first);
    assert_eq!(delete().await, 0, "who looked under a lease holds it");
    drop(looking);
    assert_eq!(delete().await, 1);
    assert_eq!(store.stat(&digest, None).await, Ok(None));
    // What an ingest publishes is held by the lease it was opened under.
    let lease = store.acquire_lease().await.unwrap();
    let ingest = ingest::<S>(&store, b"held", &lease).await;
    ingest.write(b"held".to_vec()).await.unwrap();
    ingest.commit().await.unwrap();
    drop(ingest);
    assert_eq!(delete().await, 0);
    drop(lease);
    assert_eq!(delete().await, 1);
    assert_eq!(store.stat(&Digest::sha256(b"held"), None).await, Ok(None));
}

pub(super) async fn a_lock_is_held_by_one_lease<S: Subject>(subject: &S) {
    let (store, second) = (subject.open(), subject.open());
    let first = store.acquire_lease().await.unwrap();
    let other = second.acquire_lease().await.unwrap();
    assert_eq!(first.lock("one").await, Ok(true));
    assert_eq!(first.lock("one").await, Ok(true), "it has it");
    assert_eq!(other.lock("one").await, Ok(false));
    assert_eq!(other.lock("two").await, Ok(true));
    drop(first);
    assert_eq!(other.lock("one").await, Ok(true));
}
