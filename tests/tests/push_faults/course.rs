//! What a push does besides sending: mounting from another repository, and ending when nobody waits for it.

use super::{
    House,
    Outcome::Succeeds,
    Size::{Index, Large, Small},
    always, judge, once, tag,
};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use strata_tests::fault::{Fault, FaultRegistry, Gate, Phase};
use strata_tests::image::small;
use strata_tests::poll::within;
use strata_tests::push::{path, through};
use strata_tests::store;

#[tokio::test(flavor = "multi_thread")]
async fn mounts_that_fail_become_uploads() -> Result<()> {
    let house = House::new().await?;
    for (name, script) in [
        ("refused", vec![always(Phase::Mount, Fault::status(403))]),
        ("unknown", vec![always(Phase::Mount, Fault::status(404))]),
        (
            "not allowed",
            vec![always(Phase::Mount, Fault::status(405))],
        ),
        (
            "denied with a token asked for",
            vec![always(
                Phase::Mount,
                Fault::error(401, "UNAUTHORIZED", "no"),
            )],
        ),
        (
            "lost",
            vec![
                once(Phase::Mount, Fault::LoseBlobs),
                once(Phase::Publish, Fault::LoseBlobs),
            ],
        ),
        ("cut", vec![once(Phase::Mount, Fault::HangUp)]),
        ("done", Vec::new()),
    ] {
        let registry = FaultRegistry::start().await?;
        let image = small(name)?;
        let source = registry.add("pulled/image", "1", &image);
        house.server.pull(&source).await?.ok()?;
        for rule in script {
            registry.rule(rule);
        }
        let target = tag(&house.server, &source, &registry).await?;
        let pushed = through(&house.server.http, &target).await?;
        judge(&pushed, &registry, &image, Succeeds).with_context(|| format!("mount {name}"))?;
        ensure!(!registry.seen(Phase::Mount).is_empty(), "{name}: no mount");
        let uploads = registry.seen(Phase::Finish).len();
        ensure!(name != "done" || uploads == 0, "{uploads} uploads");
    }
    store::settles(house.store.path()).await?;
    house.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_the_push_and_the_next_one_goes_on() -> Result<()> {
    let house = House::new().await?;
    for (size, phase) in [
        (Small, Phase::Finish),
        (Small, Phase::Publish),
        (Large, Phase::Chunk),
        (Large, Phase::Finish),
        (Index, Phase::Publish),
    ] {
        let registry = FaultRegistry::start().await?;
        let gate = Gate::new();
        registry.always(phase, Fault::Stall(gate.clone()));
        let known = house.images.iter().find(|(known, ..)| *known == size);
        let (_, image, source) = known.context("no such image")?;
        let target = tag(&house.server, source, &registry).await?;
        let (http, path) = (&house.server.http, path(&target));
        let client = http.open(Method::POST, &path, &[], Bytes::new());
        let client = within("the push to begin", client).await??;
        gate.reached(1).await?;
        drop(client);
        registry.behave();
        gate.open();
        let (pushed, _) = house.push(size, &registry).await?;
        judge(&pushed, &registry, image, Succeeds)
            .with_context(|| format!("{size:?} left at {phase:?}"))?;
    }
    house.holds().await
}
