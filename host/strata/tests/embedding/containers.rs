//! Containers, which are never run: files in and out, and images from them.

use std::{collections::BTreeMap, io, io::Read as _};

use super::{
    archives::{files, import_options},
    *,
};

/// The regular files of a tar.
fn contents(tar: &[u8]) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(tar);
    let mut contents = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            contents.insert(path, text);
        }
    }
    contents
}

fn create_options(image: &str, name: &str) -> types::CreateOptions {
    types::CreateOptions {
        image: image.to_owned(),
        name: Some(name.to_owned()),
        platform: None,
        config: Some(br#"{"Env":["A=1"]}"#.to_vec()),
    }
}

/// An engine with the container `box`, whose image has `etc/name` and `etc/other`.
async fn with_box(folder: &Path) -> (Engine, String) {
    let engine = engine(folder).await;
    let tar = files(&[("etc/name", "base"), ("etc/other", "same")]);
    let import = engine.import(io::Cursor::new(tar), import_options("base:1"), |_| ());
    import.await.unwrap();
    let id = engine
        .create_container(create_options("base:1", "box"))
        .await;
    let id = id.unwrap();
    (engine, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_found_by_name_and_id_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, id) = with_box(folder.path()).await;
    let listed = engine.containers().await.unwrap();
    assert_eq!(listed.len(), 1);
    for name in ["box", &id, &id[..12]] {
        let container = engine.container(name).await.unwrap();
        assert_eq!((&*container.id, &*container.name), (&*id, "box"));
        assert_eq!(container.changed_size, 0);
    }
    let config = engine.container("box").await.unwrap().config;
    let config = String::from_utf8(config).unwrap();
    assert!(config.contains("A=1") && config.contains("sh"), "{config}");
    let taken = engine.create_container(create_options("base:1", "box"));
    assert!(matches!(
        taken.await,
        Err(Error::Image(types::Error::Conflict(_)))
    ));
    engine.remove_container("box").await.unwrap();
    assert!(engine.containers().await.unwrap().is_empty());
    assert!(matches!(
        engine.container("box").await,
        Err(Error::Image(types::Error::NotFound(_)))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_in_and_come_out_and_become_an_image() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _) = with_box(folder.path()).await;
    let stat = engine.stat_path("box", "/etc/name").await.unwrap();
    assert_eq!((&*stat.name, stat.size), ("name", 4));
    assert_eq!(stat.kind, types::FileKind::File);

    let tar = files(&[("name", "changed"), ("new", "added")]);
    let copied = engine.copy_in("box", "/etc", io::Cursor::new(tar), |_| ());
    copied.await.unwrap();
    let changes = engine.changes("box").await.unwrap();
    let changes: Vec<_> = changes.iter().map(|c| (&*c.path, c.kind)).collect();
    let expected = [
        ("/etc", types::ChangeKind::Modified),
        ("/etc/name", types::ChangeKind::Modified),
        ("/etc/new", types::ChangeKind::Added),
    ];
    assert_eq!(changes, expected);

    let out = engine.copy_out("box", "/etc", Vec::new()).await.unwrap();
    let expected = [
        ("etc/name", "changed"),
        ("etc/new", "added"),
        ("etc/other", "same"),
    ];
    let expected = expected.map(|(path, text)| (path.to_owned(), text.to_owned()));
    assert_eq!(contents(&out), BTreeMap::from(expected));
    let exported = engine.export("box", Vec::new()).await.unwrap();
    assert_eq!(contents(&exported), contents(&out));

    let options = || types::CommitOptions {
        reference: Some("changed:1".to_owned()),
        comment: "a comment".to_owned(),
        author: String::new(),
        changes: vec!["USER 7".to_owned()],
        config: None,
    };
    let id = engine.commit("box", options(), |_| ()).await.unwrap();
    let details = engine.inspect("changed:1", None).await.unwrap();
    assert_eq!((details.id, details.diff_ids.len()), (id, 2));
    let history = engine.history("changed:1", None).await.unwrap();
    assert_eq!(history[0].comment, "a comment");
    engine.remove_container("box").await.unwrap();
    store::check(folder.path()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_tar_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (engine, _) = with_box(folder.path()).await;
    let whole = files(&[("a", "1"), ("b", "2")]);
    // The header of a file, and nothing of the file.
    let cut = whole[..512].to_vec();
    let copied = engine
        .copy_in("box", "/", io::Cursor::new(cut), |_| ())
        .await;
    assert!(
        matches!(copied, Err(Error::Image(types::Error::InvalidArgument(_)))),
        "{copied:?}"
    );
    assert!(engine.changes("box").await.unwrap().is_empty());
    let missing = engine.copy_out("box", "/nothing", Vec::new()).await;
    assert!(matches!(
        missing,
        Err(Error::Image(types::Error::NotFound(_)))
    ));
}
