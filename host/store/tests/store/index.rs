//! `index.json` as other tools see and change it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use strata_store::backend::*;
use strata_store::{Digest, Store};

use super::{Fixture, remove, set};

const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn read(root: &Path) -> Value {
    serde_json::from_slice(&fs::read(root.join("index.json")).unwrap()).unwrap()
}

fn write(root: &Path, index: &Value) {
    // As tools do it: a new file, renamed.
    fs::write(root.join("index.tmp"), index.to_string()).unwrap();
    fs::rename(root.join("index.tmp"), root.join("index.json")).unwrap();
}

fn entry(name: &str, digest: &Digest, size: usize) -> Value {
    json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": digest.to_string(),
        "size": size,
        "annotations": { REF_NAME: name },
    })
}

/// Adds an entry, as another tool would to the index it finds.
fn add(root: &Path, entry: Value) {
    let mut index = read(root);
    index["manifests"].as_array_mut().unwrap().push(entry);
    write(root, &index);
}

/// Puts a blob into the layout, as another tool would.
fn foreign_blob(root: &Path, bytes: &[u8]) -> Digest {
    let digest = Digest::sha256(bytes);
    fs::write(root.join("blobs/sha256").join(digest.encoded()), bytes).unwrap();
    digest
}

#[tokio::test]
async fn a_new_store_is_a_valid_empty_layout() {
    let f = Fixture::new();
    let root = f.directory.path();
    assert_eq!(
        fs::read(root.join("oci-layout")).unwrap(),
        br#"{"imageLayoutVersion":"1.0.0"}"#
    );
    let index = read(root);
    assert_eq!(index["schemaVersion"], 2);
    assert_eq!(index["manifests"], json!([]));
}

#[tokio::test]
async fn names_are_projected() {
    let f = Fixture::new();
    let root = f.directory.path();
    let digest = f.blob(b"{}").await;
    let dangling = format!("moby-dangling@{digest}");
    let name = "docker.io/library/alpine:latest";
    f.store
        .apply(vec![set(name, b"{}"), set(&dangling, b"{}")], None)
        .await
        .unwrap();
    f.store.flush().await.unwrap();
    let index = read(root);
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0]["digest"], digest.as_str());
    assert_eq!(entries[0]["size"], 2);
    assert_eq!(
        entries[0]["annotations"],
        json!({ REF_NAME: name, "io.containerd.image.name": name })
    );
    assert!(entries[1].get("annotations").is_none());
}

#[tokio::test]
async fn the_projection_follows_by_itself_and_on_drop() {
    let f = Fixture::new();
    f.blob(b"a").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    let mut tries = 0;
    while read(f.directory.path())["manifests"] == json!([]) {
        tries += 1;
        assert!(tries < 100, "not projected");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    f.store.apply(vec![remove("x")], None).await.unwrap();
    let f = f.reopen();
    assert_eq!(read(f.directory.path())["manifests"], json!([]));
    assert!(f.images().await.is_empty());
}

#[tokio::test]
async fn names_of_another_tool_are_adopted_on_open_and_before_overwriting() {
    let f = Fixture::new();
    let Fixture { store, directory } = f;
    let root = directory.path();
    super::blob(&store, b"ours").await;
    store.apply(vec![set("ours", b"ours")], None).await.unwrap();
    store.flush().await.unwrap();
    let before = store.generation().unwrap();
    let late = foreign_blob(root, b"late");
    add(root, entry("late", &late, 4));
    store.flush().await.unwrap();
    assert_eq!(super::images(&store).await.len(), 2);
    assert!(store.generation().unwrap() > before);
    drop(store);
    let early = foreign_blob(root, b"early");
    add(root, entry("latest", &early, 5));
    let store = super::open(&directory);
    let names = super::images(&store).await;
    assert_eq!(
        names
            .iter()
            .map(|(name, _)| name.as_str())
            .collect::<Vec<_>>(),
        ["late", "latest", "ours"]
    );
    assert_eq!(names[1].1, early);
}

#[tokio::test]
async fn a_running_store_notices_names_of_another_tool() {
    let f = Fixture::new();
    let digest = foreign_blob(f.directory.path(), b"new");
    add(f.directory.path(), entry("new", &digest, 3));
    for _ in 0..200 {
        if f.images().await == [("new".to_string(), digest.clone())] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not adopted");
}

#[tokio::test]
async fn entries_that_cannot_be_believed_are_not_adopted() {
    let f = Fixture::new();
    let root = f.directory.path().to_owned();
    let good = foreign_blob(&root, b"good");
    let absent = Digest::sha256(b"absent");
    let fake = Digest::sha256(b"fake!");
    fs::write(root.join("blobs/sha256").join(fake.encoded()), b"other").unwrap();
    add(&root, entry("absent", &absent, 6));
    add(&root, entry("wrong-digest", &fake, 5));
    add(
        &root,
        json!({"mediaType": "x/y", "digest": "sha256:../../etc/passwd", "size": 1,
        "annotations": { REF_NAME: "path" }}),
    );
    add(
        &root,
        json!({"mediaType": "x/y", "digest": good.as_str(), "size": 4}),
    );
    add(&root, entry("good", &good, 4));
    let f = f.reopen();
    assert_eq!(f.images().await, [("good".to_string(), good)]);
}

#[tokio::test]
async fn what_another_tool_wrote_is_read_as_lenient_as_others_read_it() {
    for (case, index) in [
        (
            "null",
            r#"{"schemaVersion":2,"mediaType":null,"manifests":[{"mediaType":null,"digest":"D","size":3,"annotations":{"N":"x","other":null}}]}"#,
        ),
        (
            "key case",
            r#"{"SchemaVersion":2,"Manifests":[{"MediaType":"a/b","Digest":"D","Size":3,"Annotations":{"N":"x"}}]}"#,
        ),
        (
            "repeated",
            r#"{"manifests":[],"manifests":[{"digest":"sha256:0","digest":"D","size":3,"annotations":{"N":"x"}}]}"#,
        ),
        (
            "size as text",
            r#"{"manifests":[{"digest":"D","size":"3","annotations":{"N":"x"}}]}"#,
        ),
        (
            "float",
            r#"{"manifests":[{"digest":"D","size":3.0,"annotations":{"N":"x"}}]}"#,
        ),
        (
            "no size",
            r#"{"manifests":[{"digest":"D","annotations":{"N":"x"}}]}"#,
        ),
        (
            "BOM",
            "\u{feff}{\"manifests\":[{\"digest\":\"D\",\"annotations\":{\"N\":\"x\"}}]}",
        ),
    ] {
        let f = Fixture::new();
        let digest = foreign_blob(f.directory.path(), b"new");
        let index = index
            .replace("\"D\"", &format!("\"{digest}\""))
            .replace("\"N\"", &format!("\"{REF_NAME}\""));
        fs::write(f.directory.path().join("index.json"), index).unwrap();
        assert_eq!(
            f.reopen().images().await,
            [("x".to_owned(), digest)],
            "{case}"
        );
    }
}

#[tokio::test]
async fn what_has_no_name_of_its_own_is_kept_without_one() {
    let f = Fixture::new();
    let root = f.directory.path().to_owned();
    let [first, second, third] = [b"1", b"2", b"3"].map(|it| foreign_blob(&root, it));
    add(&root, entry("x", &first, 1));
    add(&root, entry("x", &second, 1));
    add(
        &root,
        json!({"mediaType": "a/b", "digest": third.as_str(), "size": 1}),
    );
    let mut found = f.reopen().images().await;
    found.sort();
    let dangling = |digest: &Digest| (format!("moby-dangling@{digest}"), digest.clone());
    let mut expected = vec![("x".to_owned(), second), dangling(&first), dangling(&third)];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn an_odd_entry_harms_no_other() {
    let f = Fixture::new();
    let digest = foreign_blob(f.directory.path(), b"new");
    let index = json!({"manifests": [null, {"size": 1}, entry("x", &digest, 3), 7]});
    fs::write(f.directory.path().join("index.json"), index.to_string()).unwrap();
    let f = f.reopen();
    assert_eq!(f.images().await, [("x".to_owned(), digest)]);
    let spaces = f.store.namespaces().await.unwrap();
    assert!(!spaces.contains(&"lost".to_owned()), "nothing is missed");
}

#[tokio::test]
async fn an_index_that_is_not_read_whole_is_kept_with_everything_if_it_has_news() {
    for index in [
        r#"{"manifests":[{"digest":"D"#,
        r#"{"manifests":[{"digest":["D"]},{"digest":"D","annotations":{"N":"\ud800"}}]}"#,
        r#"["D"]"#,
        r#"{"manifests":{"digest":"D"}}"#,
        r#"{"manifests":[{"blob":"D"}]}"#,
    ] {
        let f = Fixture::new();
        let digest = foreign_blob(f.directory.path(), b"new");
        let index = index.replace('D', digest.as_str());
        fs::write(f.directory.path().join("index.json"), &index).unwrap();
        let f = f.reopen();
        let kept = f.directory.path().join(".strata/quarantine");
        let kept: Vec<_> = fs::read_dir(kept)
            .unwrap()
            .map(|it| it.unwrap().path())
            .collect();
        assert_eq!(kept.len(), 1, "{index}");
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), index);
        let lost = async |f: &Fixture| {
            f.store
                .namespaces()
                .await
                .unwrap()
                .contains(&"lost".to_owned())
        };
        assert!(lost(&f).await, "prune keeps everything");
        fs::remove_file(&kept[0]).unwrap();
        assert!(!lost(&f.reopen()).await, "until it was looked at");
    }
}

#[tokio::test]
async fn a_removed_name_is_not_resurrected_by_our_stale_projection() {
    let f = Fixture::new();
    let Fixture { store, directory } = f;
    let root = directory.path();
    super::blob(&store, b"a").await;
    store.apply(vec![set("x", b"a")], None).await.unwrap();
    store.flush().await.unwrap();
    let stale = fs::read(root.join("index.json")).unwrap();
    store.apply(vec![remove("x")], None).await.unwrap();
    store.flush().await.unwrap();
    drop(store);
    // As after a crash between the database commit and the rename.
    fs::write(root.join("index.json"), &stale).unwrap();
    let store = super::open(&directory);
    assert!(super::images(&store).await.is_empty());
    assert_eq!(read(root)["manifests"], json!([]));
}

#[tokio::test]
async fn a_removed_name_is_not_resurrected_by_a_tool_that_added_to_a_stale_projection() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    // Projects only when told to.
    let options = || strata_store::Options {
        projection_delay: Duration::from_secs(3600),
        ..Default::default()
    };
    let store = Store::open(root, options()).unwrap();
    super::blob(&store, b"a").await;
    super::blob(&store, b"b").await;
    store
        .apply(vec![set("gone", b"a"), set("moved", b"a")], None)
        .await
        .unwrap();
    store.flush().await.unwrap();
    store
        .apply(vec![remove("gone"), set("moved", b"b")], None)
        .await
        .unwrap();
    let new = foreign_blob(root, b"new");
    add(root, entry("new", &new, 3));
    store.flush().await.unwrap();
    assert_eq!(
        super::images(&store).await,
        [
            ("moved".to_string(), Digest::sha256(b"b")),
            ("new".to_string(), new)
        ]
    );
    // Once projected, the very same name may come back from outside.
    add(root, entry("gone", &Digest::sha256(b"a"), 1));
    store.flush().await.unwrap();
    assert_eq!(super::images(&store).await[0].0, "gone");
}

#[tokio::test]
async fn a_broken_index_is_written_anew() {
    let f = Fixture::new();
    f.blob(b"a").await;
    f.store.apply(vec![set("x", b"a")], None).await.unwrap();
    f.store.flush().await.unwrap();
    fs::write(f.directory.path().join("index.json"), b"{ not json").unwrap();
    let f = f.reopen();
    assert_eq!(
        read(f.directory.path())["manifests"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(f.images().await.len(), 1);
}

#[tokio::test]
async fn skopeo_reads_and_writes_the_store() {
    if Command::new("skopeo").arg("--version").output().is_err() {
        println!("skipped: no skopeo");
        return;
    }
    let f = Fixture::new();
    let config =
        br#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}"#;
    let config_digest = f.blob(config).await;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": config_digest.as_str(),
            "size": config.len(),
        },
        "layers": [],
    })
    .to_string();
    f.blob(manifest.as_bytes()).await;
    f.store
        .apply(
            vec![set("docker.io/library/a:1", manifest.as_bytes())],
            None,
        )
        .await
        .unwrap();
    f.store.flush().await.unwrap();
    let root = f.directory.path().display().to_string();
    let ours = format!("oci:{root}:docker.io/library/a:1");
    let skopeo = |arguments: &[&str]| {
        let output = Command::new("skopeo").args(arguments).output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    skopeo(&["inspect", &ours]);
    skopeo(&[
        "copy",
        "--insecure-policy",
        "-q",
        &ours,
        &format!("oci:{root}:copied:2"),
    ]);
    f.store.flush().await.unwrap();
    let names = f.images().await;
    assert_eq!(names[0].0, "copied:2");
    assert_eq!(names[0].1, names[1].1);
}
