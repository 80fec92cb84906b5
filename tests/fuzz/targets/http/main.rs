//! Fuzz target: the Docker face over the real engine, with its store in memory and a web that answers by script.
//!
//! The first byte of an input says in pieces of which size bodies come; the rest is a [`script`]: requests, which are sent
//! one after the other to one engine, and what registries answer. Before the first there are an image `base:1` and a
//! container `box`. Whatever is asked, each answer ends, is well-formed, blames nobody else for what the client did, and
//! leaves nothing held; and afterwards everything can still be listed and removed.
#![no_main]
#![allow(clippy::expect_used, reason = "a fault is a panic")]

mod answer;
mod client;
mod clock;
mod script;
mod web;
mod world;

use libfuzzer_sys::fuzz_target;

use script::{Script, Step};
use world::World;

fuzz_target!(|input: &[u8]| {
    let Some((size, script)) = input.split_first() else {
        return;
    };
    let Script { steps, replies } = Script::read(script);
    let world = World::new(usize::from(*size).max(1), replies);
    let mut is_harmed = false;
    for step in steps {
        let request = match step {
            Step::Ask(request) => request,
            Step::Harm(harm, blob) => {
                is_harmed = true;
                world.harm(harm, blob);
                continue;
            }
        };
        let asked = request.clone();
        let before = world.web.asked();
        let answer = world.send(request);
        let was_online = world.web.asked() > before;
        answer::check(&asked, &answer, was_online, is_harmed);
        assert_eq!(world.store.leases(), 0, "leases left by {asked:?}");
    }
    for line in [
        "GET /images/json?all=1&manifests=1",
        "GET /containers/json?all=1&size=1",
        "POST /containers/prune",
        "POST /images/prune?filters={%22dangling%22:[%22false%22]}",
        "GET /info",
    ] {
        let request = script::request(line.as_bytes()).expect("a request");
        let answer = world.send(request);
        assert_eq!(answer.code(), 200, "{line}: {:?}", answer.text());
    }
    // What may refer to more keeps it.
    assert!(world.store.is_empty() || is_harmed, "blobs stay");
});
