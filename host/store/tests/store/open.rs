//! What can be opened, and how.

use std::fs;
use std::process::Command;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error, Options, Store};

use super::{Fixture, remove, set};

#[test]
fn a_missing_directory_is_created_and_a_foreign_one_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    drop(Store::open(&path, Options::default()).unwrap());
    drop(Store::open(&path, Options::default()).unwrap());
    let other = directory.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("precious"), "").unwrap();
    let result = Store::open(&other, Options::default());
    assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
    assert!(!other.join(".strata").exists());
}

#[test]
fn other_layout_versions_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join("oci-layout"),
        r#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    let result = Store::open(directory.path(), Options::default());
    assert!(matches!(result, Err(Error::Unsupported(_))), "{result:?}");
    fs::write(directory.path().join("oci-layout"), "?").unwrap();
    let result = Store::open(directory.path(), Options::default());
    assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
}

#[test]
fn a_creation_cut_short_is_completed() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join(".strata/ingest")).unwrap();
    fs::create_dir_all(directory.path().join("lost+found")).unwrap();
    drop(Store::open(directory.path(), Options::default()).unwrap());
}

async fn check_read_only(store: &Store) {
    assert!(store.read_only());
    let (name, digest) = super::images(store).await.pop().unwrap();
    assert_eq!((name.as_str(), &digest), ("x", &Digest::sha256(b"a")));
    assert_eq!(store.get(&digest, 1).await.unwrap(), "a");
    let generation = store.generation().unwrap();
    let lease = store.acquire_lease().await.unwrap();
    assert_eq!(store.stat(&digest, Some(&lease)).await.unwrap(), Some(1));
    assert_eq!(store.layer_facts(&digest).await.unwrap().size, 1);
    let refused = [
        store
            .put(&digest, Bytes::from_static(b"a"), &lease)
            .await
            .err(),
        store
            .open_ingest(&Digest::sha256(b"b"), 1, &lease)
            .await
            .err(),
        store.apply(vec![remove("x")], None).await.err(),
        store
            .delete(std::slice::from_ref(&digest), generation)
            .await
            .err(),
        store.discard_ingests().await.err(),
        store
            .expect_diff_ids(&[(digest.clone(), digest.clone())])
            .await
            .err(),
        lease.lock("x").await.err(),
    ];
    for error in refused {
        assert!(matches!(error, Some(Error::ReadOnly(_))), "{error:?}");
    }
    store.flush().await.unwrap();
    drop(lease);
}

#[tokio::test]
async fn a_store_opens_read_only_on_request_beside_a_writer() {
    let f = Fixture::new();
    f.blob(b"a").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    let read_only = Options {
        read_only: true,
        ..Default::default()
    };
    let store = Store::open(f.directory.path(), read_only).unwrap();
    check_read_only(&store).await;
    let generation = store.generation().unwrap();
    f.store.apply(vec![remove("x")], None).await.unwrap();
    assert!(
        store.generation().unwrap() > generation,
        "it sees the writer's changes"
    );
    assert!(super::images(&store).await.is_empty());
}

/// A read-only mount of a directory, unmounted when dropped.
struct Mount(std::path::PathBuf);

impl Mount {
    fn read_only(source: &std::path::Path, target: std::path::PathBuf) -> Option<Mount> {
        fs::create_dir(&target).unwrap();
        let run = |arguments: &[&std::ffi::OsStr]| {
            Command::new("mount")
                .args(arguments)
                .output()
                .is_ok_and(|o| o.status.success())
        };
        if !run(&["--bind".as_ref(), source.as_os_str(), target.as_os_str()]) {
            println!("skipped: bind mounts are not allowed here");
            return None;
        }
        let mount = Mount(target);
        run(&[
            "-o".as_ref(),
            "remount,bind,ro".as_ref(),
            mount.0.as_os_str(),
        ])
        .then_some(mount)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[tokio::test]
async fn a_read_only_file_system_opens_read_only() {
    let Fixture { store, directory } = Fixture::new();
    super::blob(&store, b"a").await;
    store.apply(vec![set("x", b"a")], None).await.unwrap();
    drop(store);
    let outside = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::read_only(directory.path(), outside.path().join("ro")) else {
        return;
    };
    check_read_only(&Store::open(&mount.0, Options::default()).unwrap()).await;
    // The same without a database of ours: any OCI layout can be read.
    fs::remove_dir_all(directory.path().join(".strata")).unwrap();
    check_read_only(&Store::open(&mount.0, Options::default()).unwrap()).await;
}

#[tokio::test]
async fn a_live_store_can_be_read_through_a_read_only_mount() {
    let f = Fixture::new();
    f.blob(b"a").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    f.store.flush().await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::read_only(f.directory.path(), outside.path().join("ro")) else {
        return;
    };
    check_read_only(&Store::open(&mount.0, Options::default()).unwrap()).await;
}

#[test]
fn who_holds_a_lock_for_too_long_is_named() {
    let f = tempfile::tempdir().unwrap();
    drop(super::open(&f));
    let path = f.path().join(".strata/open.lock");
    let file = std::fs::File::open(&path).unwrap();
    rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let options = Options {
        lock_timeout: std::time::Duration::from_millis(10),
        ..Options::default()
    };
    let error = Store::open(f.path(), options).unwrap_err();
    assert!(matches!(error, Error::Locked(_)), "{error:?}");
    let text = error.to_string();
    let holder = format!("open.lock is held by process {}", std::process::id());
    assert!(text.contains(&holder), "{text}");
}

#[test]
fn who_holds_the_database_for_too_long_is_named() {
    let f = tempfile::tempdir().unwrap();
    let options = Options {
        busy_timeout: std::time::Duration::from_millis(10),
        ..Options::default()
    };
    let store = Store::open(f.path(), options).unwrap();
    let hung = rusqlite::Connection::open(f.path().join(".strata/store.db")).unwrap();
    hung.execute_batch("BEGIN IMMEDIATE").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let error = runtime.block_on(store.apply(vec![super::remove("x")], None));
    let text = error.unwrap_err().to_string();
    let holder = format!("store.db is held by process {}", std::process::id());
    assert!(text.contains(&holder), "{text}");
}
