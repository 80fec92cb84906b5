//! Data derived from blobs: kept while it is whole and its blob is here.

use std::fs::{self, File};
use std::path::PathBuf;

use strata_store::backend::*;
use strata_store::{Digest, Error, Options, Store};

use super::{Fixture, noise, until};

fn file(f: &Fixture, kind: &str, subject: &Digest) -> PathBuf {
    let name = format!(".strata/derived/{kind}/sha256-{}", subject.encoded());
    f.directory.path().join(name)
}

#[tokio::test]
async fn what_is_remembered_is_recalled_by_kind_and_outlives_the_process() {
    let f = Fixture::new();
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    let cases = [
        (&a, "tree", noise(3_000_000)),
        (&a, "essentials", b"small".to_vec()),
        (&b, "tree", vec![]),
        (&b, "essentials", vec![7; 1_000_000]),
    ];
    for (subject, kind, data) in &cases {
        let remembered = f.store.remember(subject, kind, data.clone()).await;
        remembered.unwrap();
    }
    let f = f.reopen();
    for (subject, kind, data) in &cases {
        let found = f.store.recall(subject, kind).await.unwrap();
        assert!(found.as_ref() == Some(data), "{kind}");
    }
    let compressed = fs::metadata(file(&f, "essentials", &b)).unwrap().len();
    assert!(compressed < 10_000, "{compressed}");
    f.store.remember(&a, "tree", b"new".to_vec()).await.unwrap();
    let found = f.store.recall(&a, "tree").await.unwrap();
    assert_eq!(found.unwrap(), b"new");
    assert_eq!(f.store.recall(&a, "other").await.unwrap(), None);
}

#[tokio::test]
async fn what_is_not_exactly_what_it_was_is_absent() {
    let f = Fixture::new();
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    let path = file(&f, "kind", &a);
    for data in [b"data".to_vec(), noise(100_000)] {
        let remember = async || f.store.remember(&a, "kind", data.clone()).await.unwrap();
        remember().await;
        let whole = fs::read(&path).unwrap();
        for at in [0, 8, 40, 48, 49, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(f.store.recall(&a, "kind").await.unwrap(), None, "{at}");
            assert!(!path.exists());
        }
        for length in [0, 7, 8, 39, 47, 48, 49, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(f.store.recall(&a, "kind").await.unwrap(), None, "{length}");
        }
        // About another blob.
        remember().await;
        fs::rename(&path, file(&f, "kind", &b)).unwrap();
        assert_eq!(f.store.recall(&b, "kind").await.unwrap(), None);
    }
}

#[tokio::test]
async fn it_goes_with_its_blob() {
    let f = Fixture::new();
    let (a, b) = (f.blob(b"a").await, f.blob(b"b").await);
    for subject in [&a, &b] {
        for kind in ["one", "two"] {
            let data = b"data".to_vec();
            f.store.remember(subject, kind, data).await.unwrap();
        }
    }
    let generation = f.store.generation().unwrap();
    f.store
        .delete(std::slice::from_ref(&a), generation)
        .await
        .unwrap();
    assert!(!file(&f, "one", &a).exists() && !file(&f, "two", &a).exists());
    assert!(f.store.recall(&b, "one").await.unwrap().is_some());
    // Taken away by another program; and nothing is kept about what is not here.
    fs::remove_file(f.file(&b)).unwrap();
    assert_eq!(f.store.recall(&b, "one").await.unwrap(), None);
    f.store.remember(&b, "one", b"x".to_vec()).await.unwrap();
    assert!(!file(&f, "one", &b).exists());
}

#[tokio::test]
async fn bounds_are_kept() {
    let f = Fixture::new();
    let a = f.blob(b"a").await;
    for kind in ["", "A", "a b", "..", "a/b", &"k".repeat(33)] {
        let recalled = f.store.recall(&a, kind).await;
        assert!(matches!(recalled, Err(Error::Argument(_))), "{kind:?}");
        let kept = f.store.remember(&a, kind, vec![1]).await;
        assert!(matches!(kept, Err(Error::Argument(_))), "{kind:?}");
    }
    let largest = vec![0; 64 << 20];
    f.store.remember(&a, "kind", largest).await.unwrap();
    let found = f.store.recall(&a, "kind").await.unwrap();
    assert_eq!(found.unwrap().len(), 64 << 20);
    let larger = f.store.remember(&a, "kind", vec![0; (64 << 20) + 1]).await;
    assert!(matches!(larger, Err(Error::TooMuch(_))), "{larger:?}");
    for i in 0..40 {
        let kind = format!("kind-{i}");
        f.store.remember(&a, &kind, vec![1]).await.unwrap();
    }
    let kinds = fs::read_dir(f.directory.path().join(".strata/derived"));
    assert_eq!(kinds.unwrap().count(), 16);
}

#[tokio::test]
async fn a_read_only_store_recalls_but_keeps_nothing_new() {
    let f = Fixture::new();
    let a = f.blob(b"a").await;
    f.store
        .remember(&a, "kind", b"data".to_vec())
        .await
        .unwrap();
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(f.directory.path(), options).unwrap();
    assert_eq!(store.recall(&a, "kind").await.unwrap().unwrap(), b"data");
    store.remember(&a, "kind", b"new".to_vec()).await.unwrap();
    assert_eq!(store.recall(&a, "kind").await.unwrap().unwrap(), b"data");
}

const PACK: &str = ".strata/derived/kind/pack";

/// So many blobs, and data of each of them.
async fn small(f: &Fixture, count: usize) -> Vec<(Digest, Vec<u8>)> {
    let mut data = Vec::new();
    for number in 0..count {
        let text = format!("blob {number}");
        data.push((f.blob(text.as_bytes()).await, text.into_bytes()));
    }
    data
}

async fn recalled(store: &Store, data: &[(Digest, Vec<u8>)]) -> Vec<Option<Vec<u8>>> {
    let subjects: Vec<_> = data.iter().map(|(digest, _)| digest.clone()).collect();
    store.recall_all(&subjects, "kind").await.unwrap()
}

#[tokio::test]
async fn little_data_of_many_blobs_is_kept_together() {
    let f = Fixture::new();
    let data = small(&f, 500).await;
    let all: Vec<_> = data.iter().map(|(_, data)| Some(data.clone())).collect();
    assert_eq!(recalled(&f.store, &data).await, vec![None; 500]);
    for part in data.chunks(10) {
        f.store.remember_all(part.to_vec(), "kind").await.unwrap();
    }
    assert_eq!(recalled(&f.store, &data).await, all);
    let other = f.store.recall_all(&[data[0].0.clone()], "other").await;
    assert_eq!(other.unwrap(), [None]);
    let f = f.reopen();
    assert_eq!(recalled(&f.store, &data).await, all);
    let files = fs::read_dir(f.directory.path().join(".strata/derived/kind"));
    assert_eq!(files.unwrap().count(), 1);
}

#[tokio::test]
async fn data_of_a_blob_that_is_not_what_it_was_is_absent() {
    let f = Fixture::new();
    let data = small(&f, 6).await;
    f.store.remember_all(data.clone(), "kind").await.unwrap();
    let f = f.reopen();
    // The same bytes in another file, others in the same file, none, one that is deleted.
    fs::remove_file(f.file(&data[0].0)).unwrap();
    fs::write(f.file(&data[0].0), "blob 0").unwrap();
    fs::write(f.file(&data[1].0), "blob 2").unwrap();
    fs::remove_file(f.file(&data[2].0)).unwrap();
    let generation = f.store.generation().unwrap();
    let deleted = f.store.delete(&[data[3].0.clone()], generation).await;
    assert_eq!(deleted.unwrap().len(), 1);
    // One that is known to be damaged, though the file is as it was.
    let file = File::options().write(true).open(f.file(&data[4].0));
    let modified = fs::metadata(f.file(&data[4].0)).unwrap().modified();
    fs::write(f.file(&data[4].0), "blob 5").unwrap();
    file.unwrap().set_modified(modified.unwrap()).unwrap();
    f.store.verify(&data[4].0).await.unwrap();
    let mut expected = vec![None; 5];
    expected.push(Some(b"blob 5".to_vec()));
    assert_eq!(recalled(&f.store, &data).await, expected);
    // Nothing is kept of what is not here.
    f.store.remember_all(data.clone(), "kind").await.unwrap();
    let found = recalled(&f.store, &data).await;
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, true, false, false, false, true]);
}

#[tokio::test]
async fn a_pack_that_is_not_exactly_what_it_was_is_absent() {
    let f = Fixture::new();
    let data = small(&f, 3).await;
    f.store.remember_all(data.clone(), "kind").await.unwrap();
    let f = f.reopen();
    let path = f.directory.path().join(PACK);
    let whole = fs::read(&path).unwrap();
    let nothing = vec![None; 3];
    for at in 0..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        for bytes in [&changed[..], &whole[..at]] {
            fs::write(&path, bytes).unwrap();
            let store = super::open(&f.directory);
            assert_eq!(recalled(&store, &data).await, nothing, "{at}");
        }
    }
    // Of another kind; and no file at all.
    let other = f.directory.path().join(".strata/derived/other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("pack"), &whole).unwrap();
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let store = super::open(&f.directory);
    let subjects = [data[0].0.clone()];
    assert_eq!(store.recall_all(&subjects, "other").await.unwrap(), [None]);
    assert_eq!(recalled(&store, &data).await, nothing);
    store.remember_all(data.clone(), "kind").await.unwrap();
    drop(store);
    let store = super::open(&f.directory);
    assert_ne!(recalled(&store, &data).await, nothing);
}

#[tokio::test]
async fn packs_are_bounded() {
    let f = Fixture::new();
    let data = small(&f, 600).await;
    let of = |size: usize| {
        let subjects = data.iter().map(|(digest, _)| digest.clone());
        subjects
            .map(|digest| (digest, noise(size)))
            .collect::<Vec<_>>()
    };
    let refused = f.store.remember_all(of((64 << 10) + 1), "kind").await;
    assert!(matches!(refused, Err(Error::TooMuch(_))), "{refused:?}");
    for kind in ["", "A", ".."] {
        let refused = f.store.remember_all(Vec::new(), kind).await;
        assert!(matches!(refused, Err(Error::Argument(_))), "{refused:?}");
        let refused = f.store.recall_all(&[], kind).await;
        assert!(matches!(refused, Err(Error::Argument(_))), "{refused:?}");
    }
    // Together they may take 32 MiB.
    f.store.remember_all(of(40_000), "kind").await.unwrap();
    f.store.remember_all(of(20_000), "other").await.unwrap();
    for digest in [&data[0].0, &data[599].0] {
        let found = f
            .store
            .recall_all(std::slice::from_ref(digest), "other")
            .await;
        assert_eq!(found.unwrap(), [None]);
    }
    f.store.remember_all(of(1_000), "other").await.unwrap();
    // What was too much does not come back.
    let f = f.reopen();
    let first = [data[0].0.clone()];
    let found = f.store.recall_all(&first, "other").await.unwrap();
    assert!(found[0].is_some());
    assert_eq!(f.store.recall_all(&first, "kind").await.unwrap(), [None]);
    // One blob may be asked for again and again.
    let again = vec![data[0].0.clone(); 100_000];
    let found = f.store.recall_all(&again, "other").await.unwrap();
    let bytes: usize = found.iter().flatten().map(Vec::len).sum();
    assert!(bytes <= 16 << 20, "{bytes}");
    for kind in 0..40 {
        let kind = format!("kind-{kind}");
        f.store.remember_all(data.clone(), &kind).await.unwrap();
    }
    let directory = f.directory.path().join(".strata/derived");
    drop(f.store);
    assert!(fs::read_dir(directory).unwrap().count() <= 16);
}

#[tokio::test]
async fn what_is_gone_leaves_a_pack() {
    let f = Fixture::new();
    let mut data = small(&f, 3).await;
    for (_, data) in &mut data {
        *data = noise(10_000);
    }
    f.store.remember_all(data.clone(), "kind").await.unwrap();
    let f = f.reopen();
    // As another process removes them.
    fs::remove_file(f.file(&data[0].0)).unwrap();
    fs::remove_file(f.file(&data[1].0)).unwrap();
    let last = vec![data[2].clone()];
    f.store.remember_all(last, "kind").await.unwrap();
    let f = f.reopen();
    let size = fs::metadata(f.directory.path().join(PACK)).unwrap().len();
    assert!(size < 20_000, "{size}");
    assert!(recalled(&f.store, &data).await[2].is_some());
    let generation = f.store.generation().unwrap();
    let gone = f.store.delete(&[data[2].0.clone()], generation).await;
    assert_eq!(gone.unwrap().len(), 1);
    let f = f.reopen();
    let size = fs::metadata(f.directory.path().join(PACK)).unwrap().len();
    assert!(size < 10_000, "{size}");
}

/// As disks change bytes: no time says so.
#[tokio::test]
async fn blobs_are_read_again_behind_what_was_recalled() {
    let f = Fixture::new();
    let data = small(&f, 3).await;
    f.store.remember_all(data.clone(), "kind").await.unwrap();
    let f = f.reopen();
    let file = File::options()
        .write(true)
        .open(f.file(&data[1].0))
        .unwrap();
    let modified = file.metadata().unwrap().modified().unwrap();
    fs::write(f.file(&data[1].0), "blob 7").unwrap();
    file.set_modified(modified).unwrap();
    assert!(recalled(&f.store, &data).await.iter().all(Option::is_some));
    until(async || f.store.damaged().await.unwrap().len() == 1).await;
    assert_eq!(recalled(&f.store, &data).await[1], None);
}

#[tokio::test]
async fn packs_are_written_while_the_store_is_open() {
    let f = Fixture::new();
    let data = small(&f, 3).await;
    for part in data.chunks(1) {
        f.store.remember_all(part.to_vec(), "kind").await.unwrap();
    }
    until(async || f.directory.path().join(PACK).exists()).await;
    let other = super::open(&f.directory);
    assert!(recalled(&other, &data).await.iter().all(Option::is_some));
}

#[tokio::test]
async fn a_read_only_store_recalls_packs_and_writes_none() {
    let f = Fixture::new();
    let data = small(&f, 3).await;
    let first = vec![data[0].clone()];
    f.store.remember_all(first, "kind").await.unwrap();
    let f = f.reopen();
    let path = f.directory.path().join(PACK);
    let before = fs::read(&path).unwrap();
    let options = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(f.directory.path(), options).unwrap();
    let found = recalled(&store, &data).await;
    assert_eq!(found[..2], [Some(b"blob 0".to_vec()), None]);
    // One process has it for others of its own.
    store.remember_all(data.clone(), "kind").await.unwrap();
    assert!(recalled(&store, &data).await[1].is_some());
    drop(store);
    assert_eq!(fs::read(&path).unwrap(), before);
}
