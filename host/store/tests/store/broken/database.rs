//! A damaged `store.db` is rebuilt, and what may be missing keeps all content.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use strata_store::backend::*;
use strata_store::{Change, Digest, Error, Expectation, Options, Store};
use tempfile::TempDir;

use super::super::{Fixture, open, remove, target};
use super::{ALL, Harm};

const FILE: &str = ".strata/store.db";
/// Names of each kind: several pages of them.
const COUNT: usize = 60;

/// A store with images and containers.
async fn stored() -> Fixture {
    let f = Fixture::new();
    f.blob(b"a").await;
    let mut changes = Vec::new();
    for namespace in ["images", "containers"] {
        for number in 0..COUNT {
            changes.push(Change::Set {
                namespace: namespace.into(),
                name: format!("{namespace}-{number:03}"),
                target: target(b"a"),
                labels: vec![("key".into(), "value".repeat(40))],
                expected: Expectation::Any,
            });
        }
    }
    f.store.apply(changes, None).await.unwrap();
    f.store
        .note_source(&[Digest::sha256(b"a")], "registry/repository")
        .await
        .unwrap();
    f.store.flush().await.unwrap();
    f
}

async fn count(store: &Store, namespace: &str) -> usize {
    store.names(namespace).await.unwrap().1.len()
}

/// Nothing is lost, or that something may be is known. Returns whether it is.
async fn check(f: &Fixture, case: &str) -> bool {
    assert_eq!(count(&f.store, "images").await, COUNT, "{case}");
    let a = Digest::sha256(b"a");
    assert_eq!(f.store.get(&a, 1).await.unwrap(), "a", "{case}");
    let (_, lost) = f.store.names("lost").await.unwrap();
    if lost.is_empty() {
        assert_eq!(count(&f.store, "containers").await, COUNT, "{case}");
        return false;
    }
    let kept = f.private("quarantine").join(&lost[0].name);
    assert!(fs::symlink_metadata(&kept).is_ok(), "{case}: {kept:?}");
    assert_eq!(
        f.store.stat(&lost[0].target.digest, None).await.unwrap(),
        None
    );
    true
}

#[tokio::test]
async fn it_is_rebuilt_when_the_store_is_opened() {
    for harm in ALL {
        let case = format!("{harm:?}");
        let f = stored().await;
        let generation = f.store.generation().unwrap();
        let f = f.reopen_broken(FILE, |path| harm.apply(path));
        let is_lost = check(&f, &case).await;
        assert!(f.store.generation().unwrap() >= generation, "{case}");
        // The first page is the same in all our databases.
        let is_first_page = matches!(harm, Harm::Flip(0..4096));
        assert!(!(is_lost && is_first_page), "{case}");
        let moved = f.quarantine();
        assert!(
            !is_lost || moved[0].starts_with("store.db.broken-2"),
            "{moved:?}"
        );
        let f = f.reopen();
        assert_eq!(check(&f, &case).await, is_lost, "{case}");
        assert_eq!(f.quarantine(), moved, "{case}: it is rebuilt once");
        // A name set since is kept.
        let set = super::super::set("new", b"a");
        f.store.apply(vec![set], None).await.unwrap();
        fs::remove_dir_all(f.private("quarantine")).ok();
        let f = f.reopen();
        assert_eq!(count(&f.store, "images").await, COUNT + 1, "{case}");
        assert_eq!(count(&f.store, "lost").await, 0, "{case}");
        for name in ["store.db.new", "store.db.copy", "store.db.damaged"] {
            assert!(!f.private(name).exists(), "{case}: {name}");
        }
    }
}

#[tokio::test]
async fn what_is_beside_it_may_be_broken_too() {
    for beside in ["store.db-wal", "store.db-shm"] {
        let f = stored().await.reopen_broken(FILE, |path| {
            fs::create_dir(path.with_file_name(beside)).unwrap();
        });
        check(&f, beside).await;
        assert_eq!(count(&f.store, "containers").await, COUNT, "{beside}");
    }
}

/// Whatever page is damaged, at most what was on it is lost, and never silently.
#[tokio::test]
async fn each_page_may_be_damaged() {
    let template = stored().await;
    let pages = {
        let Fixture { store, directory } = template;
        drop(store);
        fs::metadata(directory.path().join(FILE)).unwrap().len() / 4096
    };
    assert!(pages > 12, "{pages}");
    for page in 0..pages {
        let case = format!("page {page}");
        let f = stored().await.reopen_broken(FILE, |path| {
            let file = fs::File::options().write(true).open(path).unwrap();
            file.write_all_at(&[0xff; 200], page * 4096).unwrap();
        });
        // What the start did not meet may be met now; then the next start rebuilds it.
        let is_met = f.store.names("containers").await.is_err();
        let f = if is_met { f.reopen() } else { f };
        check(&f, &case).await;
        // At most what was on the page, which is less where it says where others are.
        let containers = count(&f.store, "containers").await;
        assert!(containers > COUNT / 2, "{case}: {containers}");
    }
}

fn damage_all_leaves(path: &Path) {
    let length = fs::metadata(path).unwrap().len();
    let file = fs::File::options().write(true).open(path).unwrap();
    for page in 2..length / 4096 {
        file.write_all_at(&[0xff; 64], page * 4096).unwrap();
    }
}

#[tokio::test]
async fn who_else_uses_it_is_to_be_stopped_first() {
    let f = stored().await;
    Harm::Folder.apply(&f.directory.path().join(FILE));
    let error = Store::open(f.directory.path(), Options::default()).unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(FILE), "{text}");
    let who = format!("process {}", std::process::id());
    assert!(text.contains(&who) && text.contains("stop"), "{text}");
    let f = f.reopen();
    assert!(check(&f, "after that").await);
}

#[tokio::test]
async fn damage_found_in_use_says_what_to_do_and_the_next_start_does_it() {
    let f = stored().await.reopen();
    damage_all_leaves(&f.directory.path().join(FILE));
    // What was read when it was opened still is.
    assert_eq!(count(&f.store, "containers").await, COUNT);
    let set = super::super::set("new", b"a");
    let error = f.store.apply(vec![set], None).await.unwrap_err();
    assert!(matches!(error, Error::Broken(_)), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains(FILE) && text.contains("start it again"),
        "{text}"
    );
    let f = f.reopen();
    assert!(check(&f, "the next start").await);
}

/// A process that ends anywhere in a rebuild leaves one that can be begun again, or completed.
#[tokio::test]
async fn a_rebuild_that_was_cut_short_is_done_again_or_completed() {
    let f = stored().await.reopen_broken(FILE, |path| {
        fs::write(path.with_file_name("store.db.new"), "half").unwrap();
        fs::write(path.with_file_name("store.db.copy"), "half").unwrap();
        Harm::Flip(0).apply(path);
    });
    assert!(!check(&f, "before it was moved").await);
    let f = f.reopen_broken(FILE, |path| {
        fs::copy(path, path.with_file_name("store.db.new")).unwrap();
        fs::write(path.with_file_name("store.db-wal"), "of the damaged one").unwrap();
        fs::remove_file(path).unwrap();
    });
    assert!(!check(&f, "after it was moved").await);
}

#[tokio::test]
async fn stores_opened_at_once_rebuild_it_once() {
    for name in ["store.db", "leases.db"] {
        let Fixture { store, directory } = stored().await;
        drop(store);
        Harm::Flip(0).apply(&directory.path().join(".strata").join(name));
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let path = directory.path().to_owned();
                std::thread::spawn(move || Store::open(&path, Options::default()).unwrap())
            })
            .collect();
        let stores: Vec<Store> = threads.into_iter().map(|it| it.join().unwrap()).collect();
        let store = stores[0].clone();
        for store in &stores {
            assert_eq!(count(store, "containers").await, COUNT, "{name}");
            drop(store.acquire_lease().await.unwrap());
        }
        let f = Fixture { store, directory };
        assert!(!check(&f, name).await);
        let moved = f.quarantine();
        assert_eq!(
            moved.iter().filter(|it| it.starts_with(name)).count(),
            moved.len()
        );
        assert!(!moved.is_empty(), "{name}");
        let whole = moved.iter().filter(|it| it.ends_with('Z')).count();
        assert_eq!(whole, 1, "{moved:?}");
    }
}

/// Readers that cannot write make do with `index.json`.
#[tokio::test]
async fn a_read_only_store_shows_what_the_index_has() {
    for harm in ALL {
        let Fixture { store, directory } = stored().await;
        drop(store);
        harm.apply(&directory.path().join(FILE));
        let options = Options {
            read_only: true,
            ..Options::default()
        };
        let store = Store::open(directory.path(), options).unwrap();
        match store.names("images").await {
            Ok((_, names)) => assert_eq!(names.len(), COUNT, "{harm:?}"),
            Err(error) => assert!(matches!(error, Error::Broken(_)), "{harm:?}: {error:?}"),
        }
    }
}

/// A store as somebody left it who was killed: with changes that are in the log of its database alone.
struct Killed(TempDir);

impl Killed {
    async fn new() -> Killed {
        let f = stored().await;
        let other = open(&f.directory);
        // With another user the log is not emptied.
        let later = Change::Set {
            namespace: "containers".into(),
            name: "later".into(),
            target: target(b"a"),
            labels: Vec::new(),
            expected: Expectation::Any,
        };
        f.store.apply(vec![later], None).await.unwrap();
        f.store.flush().await.unwrap();
        let killed = Killed(tempfile::tempdir().unwrap());
        killed.copy(f.directory.path());
        drop(other);
        killed
    }

    fn copy(&self, from: &Path) {
        let mut copying = Command::new("cp");
        copying.arg("-r").arg(from.join(".")).arg(self.0.path());
        assert!(copying.status().unwrap().success());
    }

    fn log(&self) -> PathBuf {
        self.0.path().join(".strata/store.db-wal")
    }

    /// Opens a copy of it with this log. Whether nothing is lost; if something is, it is known to be.
    async fn has_all(&self, log: &[u8]) -> bool {
        let copy = Killed(tempfile::tempdir().unwrap());
        copy.copy(self.0.path());
        fs::write(copy.log(), log).unwrap();
        let store = open(&copy.0);
        assert_eq!(count(&store, "images").await, COUNT);
        let has_all = count(&store, "containers").await == COUNT + 1;
        let (_, lost) = store.names("lost").await.unwrap();
        assert!(has_all || !lost.is_empty());
        drop(store);
        // It is said once, not again.
        let (_, still) = open(&copy.0).names("lost").await.unwrap();
        assert_eq!(lost, still);
        has_all && lost.is_empty()
    }
}

#[tokio::test]
async fn a_byte_of_the_log_that_is_wrong_loses_nothing_or_is_known_to() {
    let killed = Killed::new().await;
    let log = fs::read(killed.log()).unwrap();
    assert!(killed.has_all(&log).await);
    let (mut whole, mut all) = (0, 0);
    for at in (0..log.len()).step_by(log.len() / 60) {
        let mut damaged = log.clone();
        damaged[at] ^= 1 << (at % 8);
        whole += u32::from(killed.has_all(&damaged).await);
        all += 1;
    }
    assert!(whole * 10 >= all * 8, "{whole} of {all}");
}

#[tokio::test]
async fn changes_that_are_gone_with_the_log_are_known_to_be() {
    let killed = Killed::new().await;
    let log = fs::read(killed.log()).unwrap();
    let half = &log[..log.len() / 2];
    for cut in [&[], &log[..32], half] {
        assert!(!killed.has_all(cut).await, "{} bytes", cut.len());
    }
}

#[tokio::test]
async fn who_uses_a_store_alone_leaves_no_log() {
    let f = stored().await;
    let log = f.private("store.db-wal");
    let length = || fs::metadata(&log).unwrap().len();
    assert_eq!(length(), 0);
    let other = open(&f.directory);
    f.store
        .apply(vec![remove("images-000")], None)
        .await
        .unwrap();
    f.store.flush().await.unwrap();
    assert!(length() > 0);
    drop(other);
}
