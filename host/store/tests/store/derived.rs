//! Data derived from blobs: kept while it is whole and its blob is here.

use std::fs;
use std::path::PathBuf;

use strata_store::{Digest, Error, Options, Store};

use super::{Fixture, noise};

fn file(f: &Fixture, kind: &str, subject: &Digest) -> PathBuf {
    let name = format!(".strata/derived/{kind}/sha256-{}", subject.hex());
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
        assert!(matches!(recalled, Err(Error::Invalid(_))), "{kind:?}");
        let kept = f.store.remember(&a, kind, vec![1]).await;
        assert!(matches!(kept, Err(Error::Invalid(_))), "{kind:?}");
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
