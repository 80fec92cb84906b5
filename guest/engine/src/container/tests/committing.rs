use strata_oci::{Document, ImageConfig, Manifest, Reference, config::ContainerConfig};

use super::*;
use crate::Error;

/// The documents of a committed image.
fn committed(engine: &TestEngine, image: &Digest) -> (Manifest, ImageConfig) {
    let bytes = engine.store.bytes(image).unwrap();
    let Ok(Document::Manifest(manifest)) = Document::parse("", &bytes) else {
        panic!("no manifest");
    };
    let config = engine.store.bytes(&manifest.config.digest).unwrap();
    (manifest, ImageConfig::parse(&config).unwrap())
}

/// The layer a commit adds, as lines.
fn layer(engine: &TestEngine) -> Vec<String> {
    let image = commit(engine, &CommitOptions::default()).unwrap();
    let (manifest, config) = committed(engine, &image);
    assert_eq!(manifest.layers.len(), 3);
    assert_eq!(config.rootfs.diff_ids[2], manifest.layers[2].digest);
    lines(&engine.store.bytes(&manifest.layers[2].digest).unwrap())
}

#[test]
fn without_changes_there_is_no_layer_and_none_is_read() {
    let engine = usual();
    engine.store.calls();
    let options = CommitOptions {
        comment: "note".to_owned(),
        ..CommitOptions::default()
    };
    let image = commit(&engine, &options).unwrap();
    let calls = engine.store.calls();
    assert!(!calls.contains(&"decompress") && !calls.contains(&"stage"));
    let (manifest, config) = committed(&engine, &image);
    assert_eq!(manifest.layers.len(), 2);
    let last = config.history.last().unwrap();
    assert!(last.empty_layer);
    assert_eq!(last.created_by.as_deref(), Some("sh"));
    assert_eq!(last.comment.as_deref(), Some("note"));
    assert_eq!(config.author.as_deref(), Some("them"));
    assert_eq!(config.platform().format(), "linux/amd64");
    let dangling = format!("moby-dangling@{image}");
    assert!(engine.store.names_of("images").contains(&dangling));
}

#[test]
fn a_layer_has_what_was_changed_in_path_order_whiteouts_first() {
    let engine = usual();
    copy_in(
        &engine,
        "/",
        tar(&[
            file("zebra", "z"),
            file("data/c", "C"),
            ("data/.wh.b", Kind::File(0), ""),
            (".wh.lib", Kind::File(0), ""),
            hard_link("data/d", "data/c"),
        ]),
    )
    .unwrap();
    let expected = [
        "f .wh.lib ",
        "d data",
        "f data/.wh.b ",
        "f data/c C",
        "h data/d data/c",
        "f zebra z",
    ];
    assert_eq!(layer(&engine), expected);
}

#[test]
fn a_hard_link_to_what_the_image_has_brings_the_content() {
    let engine = usual();
    copy_in(
        &engine,
        "/bin",
        tar(&[hard_link("new", "sh"), hard_link("newer", "sh")]),
    )
    .unwrap();
    assert_eq!(
        layer(&engine),
        ["d bin", "f bin/new shell", "h bin/newer bin/new"]
    );
}

#[test]
fn the_same_changes_give_the_same_layer_however_they_came() {
    let layers = |archives: &[&[Line<'_>]]| {
        let engine = usual();
        for archive in archives {
            copy_in(&engine, "/", tar(archive)).unwrap();
        }
        let one = commit(&engine, &CommitOptions::default()).unwrap();
        let other = commit(&engine, &CommitOptions::default()).unwrap();
        assert_eq!(one, other, "the clock stands still");
        committed(&engine, &one).0.layers[2].digest.clone()
    };
    let at_once = layers(&[&[file("b", "B"), file("a", "A")]]);
    assert_eq!(at_once, layers(&[&[file("a", "A")], &[file("b", "B")]]));
    assert_eq!(
        at_once,
        layers(&[
            &[file("a", "other"), file("x", "")],
            &[file("b", "B"), file("a", "A"), (".wh.x", Kind::File(0), ""),],
            &[(".wh.x", Kind::File(0), "")]
        ])
    );
    assert_ne!(at_once, layers(&[&[file("a", "B"), file("b", "A")]]));
}

#[test]
fn changes_that_cancel_out_give_no_layer() {
    let engine = usual();
    copy_in(&engine, "/", tar(&[file("x", "")])).unwrap();
    copy_in(&engine, "/", tar(&[(".wh.x", Kind::File(0), "")])).unwrap();
    let image = commit(&engine, &CommitOptions::default()).unwrap();
    let (manifest, config) = committed(&engine, &image);
    assert_eq!(manifest.layers.len(), 2);
    assert!(config.history.last().unwrap().empty_layer);
}

#[test]
fn a_container_of_the_committed_image_has_the_same_files() {
    let engine = usual();
    let archive = tar(&[
        file("data", "now a file"),
        file("etc/hosts", "new"),
        (".wh.bin", Kind::File(0), ""),
        file("bin/only", "one"),
    ]);
    copy_in(&engine, "/", archive).unwrap();
    let options = CommitOptions {
        reference: Some(Reference::parse("app").unwrap()),
        ..CommitOptions::default()
    };
    let events = Events::default();
    let image = block_on(engine.commit("box", &options, &events)).unwrap();
    let last = events.0.take().pop();
    assert!(
        matches!(&last, Some(Event::Completed(it)) if it.digest == image && it.changed),
        "{last:?}"
    );
    let mut before = lines(&export(&engine));
    block_on(engine.remove_container("box")).unwrap();
    create(&engine, "box").unwrap();
    let mut after = lines(&export(&engine));
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

#[test]
fn the_config_is_the_callers_then_the_changes_then_the_containers() {
    let engine = usual();
    let options = CommitOptions {
        author: "me".to_owned(),
        changes: vec!["ENV B=2".to_owned(), "LABEL c=3".to_owned()],
        config: Some(ContainerConfig {
            env: Some(vec!["A=1".to_owned()]),
            ..ContainerConfig::default()
        }),
        ..CommitOptions::default()
    };
    let image = commit(&engine, &options).unwrap();
    let (_, config) = committed(&engine, &image);
    assert_eq!(config.author.as_deref(), Some("me"));
    let config = config.config.unwrap();
    assert_eq!(config.cmd, Some(vec!["sh".to_owned()]));
    let mut env = config.env.unwrap();
    env.sort();
    assert_eq!(env, ["A=1", "B=2", "PATH=/bin"]);
    let labels = config.labels.unwrap();
    assert_eq!(
        labels.into_iter().collect::<Vec<_>>(),
        [
            ("a".to_owned(), "1".to_owned()),
            ("c".to_owned(), "3".to_owned()),
        ]
    );
}

#[test]
fn what_cannot_be_is_refused_before_anything() {
    let engine = usual();
    let digest = Digest::sha256(b"");
    let named = Reference::parse(&format!("app@{digest}")).unwrap();
    let with_digest = CommitOptions {
        reference: Some(named),
        ..CommitOptions::default()
    };
    let text = "cannot import digest reference".to_owned();
    assert_eq!(
        commit(&engine, &with_digest),
        Err(Error::InvalidArgument(text))
    );
    let with_run = CommitOptions {
        changes: vec!["RUN x".to_owned()],
        ..CommitOptions::default()
    };
    let refused = commit(&engine, &with_run);
    assert!(
        matches!(refused, Err(Error::InvalidArgument(_))),
        "{refused:?}"
    );
    let none = block_on(engine.commit("none", &CommitOptions::default(), &Silent));
    let text = "No such container: none".to_owned();
    assert_eq!(none, Err(Error::NotFound(text)));
}

#[test]
fn what_is_damaged_gets_no_digest_of_its_own() {
    let engine = usual();
    copy_in(&engine, "/", tar(&[file("x", "first")])).unwrap();
    let saved = block_on(engine.find_saved("box")).unwrap();
    engine.store.damage(&saved.diffs[0].digest);
    let images = engine.store.names_of("images");
    let committed = commit(&engine, &CommitOptions::default());
    assert!(matches!(committed, Err(Error::Damaged(_))), "{committed:?}");
    assert_eq!(engine.store.names_of("images"), images);
    assert_eq!(engine.store.leases(), 0);
}
