//! Small reads share an instance, and a trap of one takes no answer from the others.

use futures::future::join_all;

use super::{MOST_CALLS, World};
use crate::serve::served;

/// What is asked at once. All of it is answered in one instance.
const READS: [&str; 6] = [
    "/images/json",
    "/images/base:1/json",
    "/images/base:1/history",
    "/containers/json?all=1",
    "/containers/box/json",
    "/info",
];

#[tokio::test(flavor = "multi_thread")]
async fn reads_begin_again_when_one_traps_the_instance_they_share() {
    let world = World::new().await;
    served(&world.engine, async |http| {
        let mut calls = 0;
        loop {
            world.faults().trap_after(calls);
            let answers = join_all(READS.map(|path| http.get(path))).await;
            let struck = world.faults().disarm();
            for (path, answer) in READS.iter().zip(answers) {
                let answer = answer.unwrap();
                let text = answer.text();
                assert_eq!(answer.status, 200, "{path}, a trap at call {calls}: {text}");
            }
            if !struck {
                break;
            }
            calls += 1;
            assert!(calls < MOST_CALLS, "it never comes through");
        }
        assert!(
            calls >= READS.len(),
            "each of them asks something of the store"
        );
    })
    .await;
}
