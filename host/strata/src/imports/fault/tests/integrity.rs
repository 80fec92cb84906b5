//! Looking for damage, and mending it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use strata_tests::{
    image::{Blob, Image, Schema},
    layer::{Layer, noise},
    store,
};

use super::{LARGE, Operation, World, interrupt_in};
use crate::{Result, types};

/// An image of the registry whose layer is damaged here.
struct Damaged {
    reference: String,
    layer: Blob,
}

impl Damaged {
    fn new(world: &World) -> Self {
        let layer = Layer::noise(9, LARGE).unwrap();
        let image = Image::builder(Schema::Oci).layer(layer, "COPY it /");
        let image = image.build();
        let largest = image.contents().max_by_key(|blob| blob.bytes.len());
        Self {
            reference: world.registry.add("damaged", "1", &image),
            layer: largest.unwrap().clone(),
        }
    }

    async fn prepare(&self, world: &World) {
        world.pull(&self.reference).await.unwrap();
        let file = store::blob(world.folder.path(), &self.layer.digest);
        fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, noise(10, LARGE)).unwrap();
    }
}

struct Check(Damaged);

impl Operation for Check {
    async fn prepare(&self, world: &World) {
        self.0.prepare(world).await;
    }

    async fn run(&self, world: &World) -> Result<()> {
        let report = world.engine.check(false, |_| ()).await?;
        let faults: Vec<_> = report.faults.iter().map(|it| &it.digest).collect();
        assert_eq!(faults, [&self.0.layer.digest]);
        Ok(())
    }

    async fn undo(&self, world: &World) {
        world.remove(&self.0.reference).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check() {
    let world = World::new().await;
    interrupt_in(&world, Check(Damaged::new(&world))).await;
}

struct Repair(Damaged);

impl Operation for Repair {
    async fn prepare(&self, world: &World) {
        self.0.prepare(world).await;
    }

    async fn run(&self, world: &World) -> Result<()> {
        let fault = types::Fault {
            digest: self.0.layer.digest.clone(),
            size: self.0.layer.bytes.len() as u64,
            media_type: self.0.layer.media_type.clone(),
            kind: types::FaultKind::Damaged,
            reason: "a test wrote it".to_owned(),
            sources: vec![self.0.reference.trim_end_matches(":1").to_owned()],
        };
        let mended = world.engine.repair(vec![fault], Vec::new(), |_| ());
        let mended = mended.await?;
        let outcome = mended.first().map(|mended| &mended.outcome);
        let repaired = matches!(outcome, Some(types::MendedOutcome::Repaired(_)));
        assert!(repaired, "{mended:?}");
        Ok(())
    }

    async fn undo(&self, world: &World) {
        world.remove(&self.0.reference).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn repair() {
    let world = World::new().await;
    interrupt_in(&world, Repair(Damaged::new(&world))).await;
}
