//! Small reads share an instance, and a trap of one takes no answer from the others.

use std::net::SocketAddr;

use futures::future::join_all;
use strata_tests::http::Http;
use tokio::sync::oneshot;

use super::{MOST_CALLS, World};
use crate::{Access, Listener, bind};

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
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let bound = bind(vec![Listener::Tcp(anywhere)], Access::default());
    let bound = bound.await.unwrap();
    let http = Http::new(&bound.addresses()[0].replacen("tcp:", "http:", 1));
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = world.engine.serve(bound, async {
        let _ = stopped.await;
    });
    let asking = async {
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
        stop.send(()).unwrap();
    };
    let (served, ()) = tokio::join!(serving, asking);
    served.unwrap();
}
