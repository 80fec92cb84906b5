use futures::FutureExt as _;

use super::*;
use crate::{Result, SaveOptions, Silent, archive::kept::Kept, container::CreateOptions};

const NAME: &str = "docker.io/library/moves:1";

/// Whoever reads an image while its name moves and the old one is pruned.
fn overtaken(call: &'static str, read: fn(&TestEngine) -> Result<()>) -> Result<()> {
    let engine = engine();
    let first = Recipe {
        layers: &["first"],
        ..PLAIN
    };
    engine.store.named(NAME, &first);
    let other = TestEngine {
        store: engine.store.clone(),
        ..super::engine()
    };
    engine.store.before(call, move |store| {
        store.named(NAME, &PLAIN);
        let pruned = other.prune(&Filters::default()).now_or_never();
        pruned.unwrap().unwrap();
    });
    let done = read(&engine);
    assert_eq!(engine.store.leases(), 0);
    // What went with its name is not missed.
    assert_eq!(engine.store.count("note_missing"), 0);
    done
}

#[test]
fn who_reads_an_image_while_its_name_moves_reads_what_is_there_then() {
    type Read = fn(&TestEngine) -> Result<()>;
    let reads: [(&str, Read); 5] = [
        ("list", |it| {
            let listed = block_on(it.list(&ListOptions::default()))?;
            let damaged: Vec<_> = listed.iter().filter_map(|it| it.damaged.clone()).collect();
            assert_eq!((listed.len(), damaged), (1, vec![]));
            Ok(())
        }),
        ("inspect", |it| {
            let details = block_on(it.inspect("moves:1", &InspectOptions::default()))?;
            assert_eq!(details.damaged, None);
            assert!(details.config.is_some());
            Ok(())
        }),
        ("history", |it| {
            block_on(it.history("moves:1", None)).map(drop)
        }),
        ("save", |it| {
            let options = SaveOptions {
                names: vec!["moves:1".to_owned()],
                platforms: Vec::new(),
            };
            block_on(it.save(&options, &mut Kept::default(), &Silent))
        }),
        ("create", |it| {
            let options = CreateOptions {
                image: "moves:1".to_owned(),
                ..CreateOptions::default()
            };
            match block_on(it.create_container(&options)) {
                // It has nothing to run.
                Err(Error::InvalidArgument(_)) => Ok(()),
                created => created.map(drop),
            }
        }),
    ];
    for (what, read) in reads {
        // Before the manifest is looked for, and while it is read.
        for call in ["stat_all", "get"] {
            let done = overtaken(call, read);
            assert!(done.is_ok(), "{what}, {call}: {done:?}");
        }
    }
}

#[test]
fn what_is_missing_for_good_is_not_read_again_whatever_else_moves() {
    let engine = engine();
    let target = engine.store.named(NAME, &PLAIN);
    engine.store.lose(&target.digest);
    engine.store.before("stat_all", |store| {
        let other = Recipe {
            layers: &["other"],
            ..PLAIN
        };
        store.named("docker.io/library/other:1", &other);
        // What it asks for from here on is for the first try.
        store.calls();
    });
    let details = block_on(engine.inspect("moves:1", &InspectOptions::default())).unwrap();
    assert!(details.damaged.is_some());
    let calls = engine.store.calls();
    assert!(!calls.contains(&"stat_all"), "{calls:?}");
    assert!(calls.contains(&"note_missing"), "{calls:?}");
}
