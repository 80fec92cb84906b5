//! Copies at the same time, and what other instances know.

use futures::FutureExt as _;

use super::*;
use crate::{Error, Store as _};

/// A copy that another one overtakes just before its change of the name.
fn overtaken(first: &[Line<'_>], second: &[Line<'_>]) -> (TestEngine, Result<()>) {
    let engine = usual();
    let other = TestEngine {
        store: engine.store.clone(),
        ..crate::catalog::fixture::engine()
    };
    let archive = tar(second);
    engine.store.before("apply", move |_| {
        let body = Bytes::of(archive);
        let options = CopyInOptions::default();
        let copied = other.copy_in("box", b"/", body, &options, &Silent);
        copied.now_or_never().unwrap().unwrap();
    });
    let copied = copy_in(&engine, "/", tar(first));
    (engine, copied)
}

#[test]
fn copies_do_not_wait_for_each_other() {
    let (engine, copied) = overtaken(
        &[file("data/a", "first"), file("x", "x")],
        &[file("data/b", "second"), file("y", "y")],
    );
    copied.unwrap();
    let expected = ["C /data", "C /data/a", "C /data/b", "A /x", "A /y"];
    assert_eq!(changes(&engine), expected);
    let warm = export(&engine);
    forget(&engine);
    assert!(export(&engine) == warm);
    assert_eq!(engine.store.leases(), 0);
    // The later one wins.
    let (engine, copied) = overtaken(&[file("x", "first")], &[file("x", "second")]);
    copied.unwrap();
    assert_eq!(lines(&copy_out(&engine, "/x").unwrap()), ["f x first"]);
}

#[test]
fn a_copy_whose_ground_is_gone_is_told_to_try_again() {
    let (engine, copied) = overtaken(
        &[hard_link("x", "data/a")],
        &[("data/.wh.a", Kind::File(0), "")],
    );
    assert!(matches!(copied, Err(Error::Conflict(_))), "{copied:?}");
    assert_eq!(changes(&engine), ["C /data", "D /data/a"]);
    assert_eq!(engine.store.leases(), 0);
}

#[test]
fn what_a_layer_lists_is_read_once() {
    let engine = usual();
    copy_in(
        &engine,
        "/",
        tar(&[file("data/c", "C"), (".wh.old2", Kind::File(0), "")]),
    )
    .unwrap();
    let warm = export(&engine);
    // Another instance: nothing is known but what the store keeps.
    let other = TestEngine {
        store: engine.store.clone(),
        ..crate::catalog::fixture::engine()
    };
    block_on(other.container("box", false)).unwrap();
    let reads = |engine: &TestEngine| {
        engine.store.calls();
        block_on(engine.stat_path("box", b"/data/c")).unwrap();
        let calls = engine.store.calls();
        // The record is read each time.
        calls.iter().filter(|call| **call == "get").count() - 1
    };
    assert_eq!(reads(&other), 0);
    assert!(export(&other) == warm);
    // Damaged lists are read again, as are those of another version.
    let layers = block_on(other.find_saved("box")).unwrap();
    let layers = layers.image_manifest().unwrap().layers.clone();
    for layer in &layers {
        let kept = block_on(engine.store.recall(&layer.digest, "layer-list-1"));
        let mut kept = kept.unwrap().unwrap();
        kept.truncate(kept.len() - 1);
        block_on(engine.store.remember(&layer.digest, "layer-list-1", kept)).unwrap();
    }
    engine.catalog.roots.take();
    assert!(reads(&engine) > 0);
    engine.catalog.roots.take();
    assert_eq!(reads(&engine), 0);
    assert!(export(&engine) == warm);
}
