//! A broken `leases.db` is made anew, and protects what it did.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use strata_store::backend::*;
use strata_store::{Digest, Error, Options, Store};

use super::super::Fixture;
use super::{ALL, Harm};

const FILE: &str = ".strata/leases.db";

/// Leases protect, locks lock, and both end.
async fn check(f: &Fixture, case: &str) {
    let a = f.blob(b"a").await;
    let one = std::slice::from_ref(&a);
    let (lease, other) = (f.lease().await, f.lease().await);
    f.store.stat(&a, Some(&lease)).await.unwrap();
    assert!(lease.lock("x").await.unwrap(), "{case}");
    assert!(!other.lock("x").await.unwrap(), "{case}");
    let generation = f.store.generation().unwrap();
    let kept = f.store.delete(one, generation).await.unwrap();
    assert_eq!(kept, [], "{case}");
    drop(lease);
    assert!(other.lock("x").await.unwrap(), "{case}");
    let gone = f.store.delete(one, generation).await.unwrap();
    assert_eq!(gone, [(a, 1)], "{case}");
}

fn drop_table(path: &Path) {
    let database = Connection::open(path).unwrap();
    database.execute_batch("DROP TABLE protections").unwrap();
}

#[tokio::test]
async fn it_is_made_anew_when_the_store_is_opened() {
    for harm in ALL {
        let f = Fixture::new().reopen_broken(FILE, |path| harm.apply(path));
        check(&f, &format!("{harm:?}")).await;
        let f = f.reopen();
        check(&f, &format!("{harm:?}, opened once more")).await;
        assert!(f.quarantine().len() <= 1, "{harm:?}: {:?}", f.quarantine());
    }
    let f = Fixture::new().reopen_broken(FILE, drop_table);
    check(&f, "without a table").await;
    let moved = f.quarantine().pop().unwrap();
    assert!(moved.starts_with("leases.db.broken-2"), "{moved}");
    for beside in ["leases.db-wal", "leases.db-shm"] {
        let f = Fixture::new().reopen_broken(FILE, |path| {
            fs::create_dir(path.with_file_name(beside)).unwrap();
        });
        check(&f, beside).await;
    }
}

/// What a process that lives holds stays, whoever makes the file anew.
#[tokio::test]
async fn what_a_living_process_holds_is_not_deleted() {
    // Those that another process notices at its start; a flip elsewhere does nobody harm.
    for harm in [Harm::Gone, Harm::Empty, Harm::Folder] {
        let f = Fixture::new();
        let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
        let lease = f.lease().await;
        f.store.stat(&a, Some(&lease)).await.unwrap();
        assert!(lease.lock("x").await.unwrap());
        harm.apply(&f.directory.path().join(FILE));
        let other = Store::open(f.directory.path(), Options::default()).unwrap();
        let both = [a.clone(), b.clone()];
        let generation = other.generation().unwrap();
        let mut deleted = other.delete(&both, generation).await;
        // The first process says it by itself, within seconds.
        for _ in 0..1000 {
            let Err(Error::Locked(text)) = &deleted else {
                break;
            };
            let who = format!("process {}", std::process::id());
            assert!(text.contains(&who), "{harm:?}: {text}");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            deleted = other.delete(&both, generation).await;
        }
        assert_eq!(deleted.unwrap(), [(b, 1)], "{harm:?}");
        let theirs = other.acquire_lease().await.unwrap();
        assert!(!theirs.lock("x").await.unwrap(), "{harm:?}");
        // Numbers of leases stay apart.
        let mine = f.lease().await;
        drop(lease);
        assert!(mine.lock("x").await.unwrap(), "{harm:?}");
        let gone = other
            .delete(std::slice::from_ref(&a), generation)
            .await
            .unwrap();
        assert_eq!(gone, [(a, 1)], "{harm:?}");
        drop((other, mine));
        check(&f, &format!("{harm:?}")).await;
    }
}

/// A change meets a page that is broken.
#[tokio::test]
async fn it_is_made_anew_while_it_is_used() {
    let f = Fixture::new();
    let lease = f.lease().await;
    let a = f.blob(b"a").await;
    f.store.stat(&a, Some(&lease)).await.unwrap();
    assert!(lease.lock("x").await.unwrap());
    // The tables' roots, behind SQLite's back, in the log as well as in the file.
    let path = f.directory.path().join(FILE);
    let checkpoint = Connection::open(&path).unwrap();
    checkpoint
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
        .unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    for page in 1..8 {
        std::os::unix::fs::FileExt::write_all_at(&file, &[0xff; 64], page * 4096).unwrap();
    }
    std::mem::forget(file);
    checkpoint
        .execute_batch("PRAGMA user_version = 1; CREATE TABLE changed (it); DROP TABLE changed;")
        .ok();
    let other = f.lease().await;
    f.store
        .stat(&Digest::sha256(b"b"), Some(&other))
        .await
        .unwrap();
    assert!(!other.lock("x").await.unwrap());
    let generation = f.store.generation().unwrap();
    let kept = f
        .store
        .delete(std::slice::from_ref(&a), generation)
        .await
        .unwrap();
    assert_eq!(kept, []);
    drop((lease, other));
    check(&f, "").await;
    assert!(!f.quarantine().is_empty());
}

/// SQLite finds no fault with a row that cannot be read.
#[tokio::test]
async fn a_row_that_cannot_be_read_is_no_obstacle() {
    let f = Fixture::new();
    let (lease, other) = (f.lease().await, f.lease().await);
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    f.store.stat(&a, Some(&lease)).await.unwrap();
    f.store
        .stat(&Digest::sha256(b"c"), Some(&other))
        .await
        .unwrap();
    let database = Connection::open(f.directory.path().join(FILE)).unwrap();
    let sql = format!("UPDATE protections SET digest = CAST(x'ff' AS TEXT) WHERE digest = '{a}'");
    assert_eq!(database.execute(&sql, []).unwrap(), 1);
    let generation = f.store.generation().unwrap();
    let gone = f.store.delete(&[a, b.clone()], generation).await.unwrap();
    assert_eq!(gone, [(b, 1)]);
    assert!(!f.quarantine().is_empty());
    drop((lease, other));
    check(&f, "").await;
}
