//! Copies at the same time, and what other instances know.

use futures::FutureExt as _;

use super::*;
use crate::{Error, Store as _};

/// Copies while another operation is under way.
fn copied_at_once(engine: &TestEngine, archive: Vec<u8>) {
    let options = CopyInOptions::default();
    let copied = engine.copy_in("box", b"/", Bytes::of(archive), &options, &Silent);
    copied.now_or_never().unwrap().unwrap();
}

/// A copy that another one overtakes just before its change of the name.
fn overtaken(first: &[Line<'_>], second: &[Line<'_>]) -> (TestEngine, Result<()>) {
    let engine = usual();
    let other = TestEngine {
        store: engine.store.clone(),
        ..crate::catalog::fixture::engine()
    };
    let archive = tar(second);
    engine
        .store
        .before("apply", move |_| copied_at_once(&other, archive));
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
    engine.roots.take();
    assert!(reads(&engine) > 0);
    engine.roots.take();
    assert_eq!(reads(&engine), 0);
    assert!(export(&engine) == warm);
}

/// Another instance over the same store, to which nothing is known yet.
fn another(engine: &TestEngine) -> TestEngine {
    TestEngine {
        store: engine.store.clone(),
        ..crate::catalog::fixture::engine()
    }
}

#[test]
fn who_reads_beside_a_copy_and_a_prune_reads_what_is_there_then() {
    type Read = fn(&TestEngine) -> Result<()>;
    let reads: [(&str, Read); 6] = [
        ("stat", |it| {
            block_on(it.stat_path("box", b"/data/a")).map(drop)
        }),
        ("copy out", |it| copy_out(it, "/data").map(drop)),
        ("export", |it| {
            block_on(it.export("box", &mut Kept::default(), &Silent))
        }),
        ("changes", |it| block_on(it.changes("box")).map(drop)),
        ("inspect", |it| {
            block_on(it.container("box", true)).map(drop)
        }),
        ("commit", |it| {
            block_on(it.commit("box", &Default::default(), &Silent)).map(drop)
        }),
    ];
    for (what, read) in reads {
        // Before the container's record is looked for, and while it is read.
        for call in ["stat_all", "get"] {
            let engine = usual();
            copy_in(&engine, "/", tar(&[file("x", "first")])).unwrap();
            let (reader, writer) = (another(&engine), another(&engine));
            engine.store.before(call, move |_| {
                copied_at_once(&writer, tar(&[file("x", "second")]));
                let pruned = writer.prune(&Default::default()).now_or_never();
                pruned.unwrap().unwrap();
            });
            let done = read(&reader);
            assert!(done.is_ok(), "{what}, {call}: {done:?}");
            assert_eq!(engine.store.leases(), 0, "{what}");
        }
    }
}

#[test]
fn what_was_stored_for_a_container_is_not_stored_again_when_others_are_faster() {
    let puts = |engine: &TestEngine| {
        let calls = engine.store.calls();
        calls.iter().filter(|call| **call == "put").count()
    };
    let engine = usual();
    engine.store.calls();
    create(&engine, "alone").unwrap();
    let alone = puts(&engine);
    assert!(alone > 0);
    let other = another(&engine);
    engine.store.before("apply", move |store| {
        copied_at_once(&other, tar(&[file("x", "x")]));
        store.calls();
    });
    create(&engine, "beside").unwrap();
    assert_eq!(puts(&engine), 0, "after it was overtaken");
}
