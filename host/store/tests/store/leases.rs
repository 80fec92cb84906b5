//! Leases end with whoever holds them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use rusqlite::Connection;
use strata_store::backend::*;
use strata_store::{Digest, Error};

use super::{Fixture, until};

/// The database of leases, as another process has it.
fn database(f: &Fixture) -> Connection {
    Connection::open(f.directory.path().join(".strata/leases.db")).unwrap()
}

fn count(database: &Connection, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    database.query_row(&count, [], |row| row.get(0)).unwrap()
}

/// Starts what a future does, and drops it.
async fn begin(future: impl Future) {
    let mut future = pin!(future);
    let begun = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending()));
    assert!(begun.await, "it was done at once");
}

#[tokio::test]
async fn a_lease_lives_as_long_as_any_of_its_clones() {
    let f = Fixture::new();
    let a = f.blob(b"a").await;
    let lease = f.lease().await;
    assert!(lease.lock("operation").await.unwrap());
    f.store.stat(&a, Some(&lease)).await.unwrap();
    let clone = lease.clone();
    drop(lease);
    let one = std::slice::from_ref(&a);
    let generation = f.store.generation().unwrap();
    assert_eq!(f.store.delete(one, generation).await.unwrap(), []);
    let other = f.lease().await;
    assert!(!other.lock("operation").await.unwrap());
    drop(clone);
    assert!(other.lock("operation").await.unwrap());
    assert_eq!(f.store.delete(one, generation).await.unwrap(), [(a, 1)]);
}

#[tokio::test]
async fn nobody_waits_until_hundreds_of_leases_have_ended() {
    let f = Fixture::new();
    let mut leases = Vec::new();
    for number in 0..300_u32 {
        let lease = f.lease().await;
        f.store
            .stat(&Digest::sha256(&number.to_le_bytes()), Some(&lease))
            .await
            .unwrap();
        leases.push(lease);
    }
    let database = database(&f);
    let left = || (count(&database, "leases"), count(&database, "protections"));
    assert_eq!(left(), (300, 300));
    // While another process has the database, what waits for it does not return.
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    drop(leases);
    database.execute_batch("COMMIT").unwrap();
    // They were put down together, and one more that ends now is, too.
    drop(f.lease().await);
    until(async || left() == (0, 0)).await;
}

#[tokio::test]
async fn a_lease_of_another_store_is_refused() {
    let (f, other) = (Fixture::new(), Fixture::new());
    let (_own, lease) = (f.lease().await, other.lease().await);
    let a = f.blob(b"a").await;
    let refused = [
        f.store.stat(&a, Some(&lease)).await.err(),
        f.store
            .put(&a, Bytes::from_static(b"a"), &lease)
            .await
            .err(),
        f.store.open_ingest(&a, 1, &lease).await.err(),
        f.store.stage(&lease, None).await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::Invalid(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_lease_that_nobody_waited_for_has_ended() {
    let f = Fixture::new();
    let database = database(&f);
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    begin(f.store.acquire_lease()).await;
    database.execute_batch("COMMIT").unwrap();
    until(async || count(&database, "sqlite_sequence") == 1).await;
    until(async || count(&database, "leases") == 0).await;
}

#[tokio::test]
async fn a_lock_that_nobody_waited_for_is_free() {
    let f = Fixture::new();
    let (lease, other) = (f.lease().await, f.lease().await);
    let database = database(&f);
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    begin(lease.lock("operation")).await;
    drop(lease);
    database.execute_batch("COMMIT").unwrap();
    until(async || other.lock("operation").await.unwrap()).await;
}

#[tokio::test]
async fn a_lock_of_a_lease_that_is_gone_is_free() {
    let f = Fixture::new();
    // What an earlier version may have left.
    database(&f)
        .execute("INSERT INTO locks VALUES ('operation', 12345)", [])
        .unwrap();
    let lease = f.lease().await;
    assert!(lease.lock("operation").await.unwrap());
    assert!(!f.lease().await.lock("operation").await.unwrap());
}
