//! What changes names, and removes what they pointed at.

use hyper::Method;
use strata_tests::http::Http;

use super::{Operation, World, interrupt, interrupt_in};
use crate::{Error, Result, serve::served};

struct Tag;

impl Operation for Tag {
    async fn run(&self, world: &World) -> Result<()> {
        world.engine.tag("base:1", "tagged:1").await
    }

    async fn undo(&self, world: &World) {
        world.remove("tagged:1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tag() {
    interrupt(Tag).await;
}

struct Remove;

impl Operation for Remove {
    async fn prepare(&self, world: &World) {
        world.import(8, Some("removed:1")).await.unwrap();
    }

    async fn run(&self, world: &World) -> Result<()> {
        let removal = world.engine.remove("removed:1", false, Vec::new());
        removal.await.map(drop)
    }

    async fn undo(&self, world: &World) {
        world.remove("removed:1").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn remove() {
    interrupt(Remove).await;
}

struct RemoveContainer;

impl Operation for RemoveContainer {
    async fn prepare(&self, world: &World) {
        world.create("other").await.unwrap();
    }

    async fn run(&self, world: &World) -> Result<()> {
        world.engine.remove_container("other").await
    }

    async fn undo(&self, world: &World) {
        world.remove_container("other").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn remove_container() {
    interrupt(RemoveContainer).await;
}

/// Asked over HTTP, as no embedder can ask for it.
struct PruneContainers<'a>(&'a Http);

impl Operation for PruneContainers<'_> {
    async fn prepare(&self, world: &World) {
        world.create("other").await.unwrap();
    }

    async fn run(&self, _world: &World) -> Result<()> {
        let path = "/containers/prune";
        let pruned = self.0.send(Method::POST, path, &[], "").await;
        let pruned = pruned.and_then(|answer| answer.expect_status(&[200]));
        let failed = |error| Error::Host(wasmtime::Error::msg(format!("{error:#}")));
        pruned.map(drop).map_err(failed)
    }

    async fn undo(&self, world: &World) {
        for name in ["other", "box"] {
            world.remove_container(name).await;
        }
        world.fill_box().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn prune_containers() {
    let world = World::new().await;
    served(&world.engine, async |http| {
        interrupt_in(&world, PruneContainers(&http)).await;
    })
    .await;
}
