//! Broken files and folders of the layout, and of `.strata`, are made anew.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use strata_store::backend::*;
use strata_store::{Error, Options, Store};

use super::super::{Fixture, set};
use super::{ALL, Harm};

/// A store with an image.
async fn stored() -> Fixture {
    let f = Fixture::new();
    f.blob(b"a").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    f.store.flush().await.unwrap();
    f
}

async fn check(f: &Fixture, case: &str) {
    let images = f.images().await;
    assert_eq!(images.len(), 1, "{case}");
    assert_eq!(f.store.get(&images[0].1, 1).await.unwrap(), "a", "{case}");
    assert!(!f.store.read_only(), "{case}");
    f.blob(b"b").await;
    f.store.flush().await.unwrap();
    let index = fs::read_to_string(f.directory.path().join("index.json")).unwrap();
    assert!(index.contains(images[0].1.as_str()), "{case}: {index}");
    let marker = fs::read(f.directory.path().join("oci-layout")).unwrap();
    assert_eq!(marker, br#"{"imageLayoutVersion":"1.0.0"}"#, "{case}");
}

#[tokio::test]
async fn a_broken_marker_is_written_anew_where_the_store_is_ours() {
    for harm in ALL {
        let f = stored().await;
        let f = f.reopen_broken("oci-layout", |path| harm.apply(path));
        check(&f, &format!("{harm:?}")).await;
    }
    let f = stored().await.reopen_broken("oci-layout", |path| {
        fs::write(path, r#"{"imageLayoutVersion":"1.0."}"#).unwrap();
    });
    check(&f, "another version that is none").await;
    let Fixture { store, directory } = f;
    drop(store);
    fs::remove_file(directory.path().join("oci-layout")).unwrap();
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    let store = Store::open(directory.path(), read_only).unwrap();
    assert_eq!(super::super::images(&store).await.len(), 1);
    assert!(!directory.path().join("oci-layout").exists());
}

#[test]
fn a_broken_marker_of_others_is_refused_with_a_way_out() {
    for harm in [
        Harm::Flip(0),
        Harm::Empty,
        Harm::Folder,
        Harm::Dangling,
        Harm::Pipe,
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("oci-layout");
        fs::write(&path, r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        harm.apply(&path);
        let error = Store::open(directory.path(), Options::default()).unwrap_err();
        assert!(matches!(error, Error::Invalid(_)), "{harm:?}: {error}");
        let text = error.to_string();
        assert!(text.contains("oci-layout"), "{harm:?}: {text}");
        assert!(text.contains("give another"), "{harm:?}: {text}");
        assert!(!directory.path().join(".strata").exists(), "{harm:?}");
    }
}

#[tokio::test]
async fn a_broken_index_is_written_anew() {
    for harm in ALL {
        let f = stored().await;
        let f = f.reopen_broken("index.json", |path| harm.apply(path));
        check(&f, &format!("{harm:?}")).await;
        let is_moved = matches!(harm, Harm::Folder | Harm::Pipe);
        assert_eq!(f.quarantine().len(), usize::from(is_moved), "{harm:?}");
        // And while the store is open.
        harm.apply(&f.directory.path().join("index.json"));
        f.store.apply(vec![set("x", b"a")], None).await.unwrap();
        check(&f, &format!("{harm:?}, once more")).await;
    }
}

#[tokio::test]
async fn what_is_no_folder_is_moved_away_and_the_folder_made_anew() {
    let harm = |how: &str, path: &Path| match how {
        "file" => fs::write(path, "x").unwrap(),
        _ => symlink("/nowhere/at/all", path).unwrap(),
    };
    for how in ["file", "link"] {
        for name in ["ingest", "trash", "owners", "derived", "quarantine"] {
            let f = stored()
                .await
                .reopen_broken(&format!(".strata/{name}"), |path| {
                    let _ = fs::remove_dir_all(path);
                    harm(how, path);
                });
            check(&f, &format!("{name} is a {how}")).await;
        }
        for name in [".strata", "blobs"] {
            let Fixture { store, directory } = stored().await;
            drop(store);
            let path = directory.path().join(name);
            fs::remove_dir_all(&path).unwrap();
            harm(how, &path);
            let error = Store::open(directory.path(), Options::default()).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(name), "{name} is a {how}: {text}");
            assert!(text.contains("move it away"), "{name} is a {how}: {text}");
        }
    }
}
