//! Several processes on one store, and what is left of a killed one.
//!
//! The other process is this test program, started with [`child`] as its only test and a role in
//! its environment.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use strata_store::backend::*;
use strata_store::{Digest, Error, Expectation, IngestState, Options, Store};

use super::{Fixture, noise, opened, remove, set, set_if};

const ROLE: &str = "STRATA_STORE_TEST_ROLE";
const ROOT: &str = "STRATA_STORE_TEST_ROOT";
const SIZE: usize = 3_000_000;

/// Does what its role says, when it is a child at all.
#[tokio::test]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let root = std::env::var(ROOT).unwrap();
    let store = Store::open(root.as_ref(), Options::default()).unwrap();
    match role.as_str() {
        "hold" => hold(&store).await,
        "stage" => stage(&store).await,
        "finish" => finish(&store).await,
        "count" => count(&store).await,
        other => panic!("{other}"),
    }
}

/// Holds an ingest, a lease and a lock until it is killed.
async fn hold(store: &Store) {
    let lease = store.acquire_lease().await.unwrap();
    let bytes = Bytes::from(noise(SIZE));
    let digest = Digest::sha256(&bytes);
    let mut ingest = opened(
        store
            .open_ingest(&digest, SIZE as u64, &lease)
            .await
            .unwrap(),
    );
    ingest.write(bytes.slice(..SIZE / 2)).await.unwrap();
    ingest.sink().flush().await.unwrap();
    store
        .stat(&Digest::sha256(b"leased"), Some(&lease))
        .await
        .unwrap();
    assert!(lease.lock("operation").await.unwrap());
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

/// Holds a stage until it is killed.
async fn stage(store: &Store) {
    let lease = store.acquire_lease().await.unwrap();
    let mut stage = store.stage(&lease, None).await.unwrap();
    stage.write(Bytes::from(noise(SIZE))).await.unwrap();
    stage.sink().flush().await.unwrap();
    println!("ready");
    std::thread::sleep(Duration::from_secs(60));
}

/// Stages and finishes one blob after another until it is killed.
async fn finish(store: &Store) {
    let lease = store.acquire_lease().await.unwrap();
    println!("ready");
    for i in 0..u32::MAX {
        let mut stage = store.stage(&lease, None).await.unwrap();
        stage.write(Bytes::from(noise(300_000))).await.unwrap();
        let last = format!("{} {i}", std::process::id());
        stage.write(last.into()).await.unwrap();
        stage.finish().await.unwrap();
    }
}

/// Sets 100 names of its own, and counts a shared one up 50 times by compare-and-swap.
async fn count(store: &Store) {
    println!("ready");
    std::io::stdin().lines().next();
    let own = std::process::id();
    for i in 0..100 {
        store
            .apply(vec![set(&format!("own-{own}-{i}"), b"0")], None)
            .await
            .unwrap();
    }
    let mut done = 0;
    while done < 50 {
        let (_, names) = store.names("images").await.unwrap();
        let shared = names.iter().find(|name| name.name == "shared").unwrap();
        let bytes = store.get(&shared.target.digest, 100).await.unwrap();
        let next = (str::from_utf8(&bytes).unwrap().parse::<u32>().unwrap() + 1).to_string();
        super::blob(store, next.as_bytes()).await;
        let guard = Expectation::Target(shared.target.digest.clone());
        match store
            .apply(vec![set_if("shared", next.as_bytes(), guard)], None)
            .await
        {
            Ok(_) => done += 1,
            Err(Error::Conflict(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// A child that is killed when dropped.
struct Other {
    child: Child,
    stdin: ChildStdin,
}

impl Other {
    fn start(role: &str, root: &Path) -> Other {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "processes::child", "--nocapture"])
            .env(ROLE, role)
            .env(ROOT, root)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // The test harness prints, too, and on the same line.
        assert!(
            lines.any(|line| line.unwrap().ends_with("ready")),
            "the child did not start"
        );
        std::thread::spawn(move || lines.for_each(drop));
        Other { child, stdin }
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_killed_process_leaves_its_download_and_nothing_else() {
    let f = Fixture::new();
    let leased = f.blob(b"leased").await;
    let mut other = Other::start("hold", f.directory.path());
    let bytes = Bytes::from(noise(SIZE));
    let digest = Digest::sha256(&bytes);
    let lease = f.lease().await;

    let state = f
        .store
        .open_ingest(&digest, SIZE as u64, &lease)
        .await
        .unwrap();
    assert!(
        matches!(state, IngestState::Busy(n) if n == SIZE as u64 / 2),
        "{state:?}"
    );
    assert!(!lease.lock("operation").await.unwrap());
    let generation = f.store.generation().unwrap();
    let kept = f
        .store
        .delete(std::slice::from_ref(&leased), generation)
        .await
        .unwrap();
    assert!(kept.is_empty());
    assert_eq!(f.store.discard_ingests().await.unwrap(), 0);

    other.kill();
    assert!(lease.lock("operation").await.unwrap());
    let gone = f
        .store
        .delete(std::slice::from_ref(&leased), generation)
        .await
        .unwrap();
    assert_eq!(gone, [(leased, 6)]);
    let mut ingest = opened(
        f.store
            .open_ingest(&digest, SIZE as u64, &lease)
            .await
            .unwrap(),
    );
    assert_eq!(ingest.offset(), SIZE as u64 / 2);
    ingest.write(bytes.slice(SIZE / 2..)).await.unwrap();
    ingest.commit().await.unwrap();
    let owners = std::fs::read_dir(f.directory.path().join(".strata/owners")).unwrap();
    assert_eq!(owners.count(), 1);
}

#[tokio::test]
async fn a_killed_process_leaves_no_stage() {
    let mut f = Fixture::new();
    let files = |f: &Fixture| {
        std::fs::read_dir(f.directory.path().join(".strata/ingest"))
            .unwrap()
            .count()
    };
    for by_opening in [false, true] {
        let mut other = Other::start("stage", f.directory.path());
        assert_eq!(f.store.discard_ingests().await.unwrap(), 0);
        f = f.reopen();
        assert_eq!(files(&f), 1, "its owner lives");
        other.kill();
        if by_opening {
            f = f.reopen();
        } else {
            assert_eq!(f.store.discard_ingests().await.unwrap(), SIZE as u64);
        }
        assert_eq!(files(&f), 0);
        assert!(f.store.blobs().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_process_killed_while_finishing_leaves_whole_blobs() {
    let mut f = Fixture::new();
    for round in 0..8 {
        let mut other = Other::start("finish", f.directory.path());
        std::thread::sleep(Duration::from_millis(20 + 7 * round));
        other.kill();
        f = f.reopen();
        let left = std::fs::read_dir(f.directory.path().join(".strata/ingest")).unwrap();
        assert_eq!(left.count(), 0);
        for (digest, size) in f.store.blobs().await.unwrap() {
            // Checks the digest, too.
            let bytes = f.store.get(&digest, size).await.unwrap();
            assert!(bytes.len() > 300_000);
        }
    }
    assert!(!f.store.blobs().await.unwrap().is_empty());
}

#[tokio::test]
async fn two_processes_change_one_store() {
    let f = Fixture::new();
    f.blob(b"0").await;
    let start = f
        .store
        .apply(vec![set("shared", b"0")], None)
        .await
        .unwrap();
    let mut others = [(); 2].map(|()| Other::start("count", f.directory.path()));
    for other in &mut others {
        other.stdin.write_all(b"go\n").unwrap();
    }
    for other in &mut others {
        assert!(other.child.wait().unwrap().success());
    }
    let (generation, names) = f.store.names("images").await.unwrap();
    assert_eq!(generation, start + 300, "each change is seen here, once");
    assert_eq!(names.len(), 201);
    let shared = names.iter().find(|name| name.name == "shared").unwrap();
    assert_eq!(
        f.store.get(&shared.target.digest, 100).await.unwrap(),
        "100"
    );
    f.store
        .apply(vec![remove("shared")], Some(generation))
        .await
        .unwrap();
    f.store.flush().await.unwrap();
    let index = std::fs::read_to_string(f.directory.path().join("index.json")).unwrap();
    assert_eq!(index.matches("own-").count(), 400);
    assert!(!index.contains("shared"));
}

#[tokio::test]
async fn stores_opened_at_once_create_it_once() {
    for _ in 0..10 {
        let directory = tempfile::tempdir().unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let path = directory.path().to_owned();
                std::thread::spawn(move || Store::open(&path, Options::default()).unwrap())
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap().generation().unwrap(), 1);
        }
    }
}
