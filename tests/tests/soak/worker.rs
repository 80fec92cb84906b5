//! A client that does one thing after another to what is its own, while others do the same.

use crate::model::Model;
use crate::world::{Seat, World};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use std::sync::Arc;
use strata_tests::dice::Dice;
use strata_tests::http::Answer;
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Layer;
use strata_tests::layout;

/// Images of each worker's own in the registry.
const IMAGES: u64 = 3;

/// An image that is in the registry and in an archive.
pub(crate) struct Known {
    pub(crate) image: Image,
    /// What is pulled.
    pub(crate) reference: String,
    /// The name in the archive.
    pub(crate) loaded: String,
    pub(crate) archive: Bytes,
}

/// One of them.
pub(crate) struct Worker {
    pub(crate) world: Arc<World>,
    pub(crate) seat: Arc<Seat>,
    /// What its names start with.
    pub(crate) prefix: String,
    /// What its containers' names start with.
    pub(crate) number: usize,
    pub(crate) known: Vec<Known>,
    pub(crate) model: Model,
    pub(crate) dice: Dice,
    /// Blobs that it has damaged, of which images.
    pub(crate) damaged: Vec<usize>,
    made: u64,
}

impl Worker {
    pub(crate) async fn new(world: &Arc<World>, seat: &Arc<Seat>, number: usize) -> Result<Self> {
        let mut worker = Self {
            world: Arc::clone(world),
            seat: Arc::clone(seat),
            prefix: format!("{}/soak/w{number}/", world.registry.host),
            number,
            known: Vec::new(),
            model: Model::default(),
            dice: Dice::new(0),
            damaged: Vec::new(),
            made: 0,
        };
        for _ in 0..IMAGES {
            worker.publish(600_000).await?;
        }
        Ok(worker)
    }

    /// Puts a new image into the registry. Which of [`Self::known`] it is.
    pub(crate) async fn publish(&mut self, size: usize) -> Result<usize> {
        let (at, number) = (self.known.len(), self.number);
        // Of two layers: removing one image must spare what others use.
        let own = Layer::noise(10_000 * number as u64 + at as u64 + 2, size)?;
        let image = Image::builder(Schema::Oci)
            .layer(self.world.base.clone(), "COPY base-files /")
            .layer(own, &format!("COPY {number}-{at} /"))
            .config("Cmd", json!(["sh"]))
            .labels(json!({ "soak": format!("w{number}") }))
            .build();
        let repository = format!("soak/w{number}/image{at}");
        let loaded = format!("{}loaded{at}:1", self.prefix);
        self.known.push(Known {
            reference: self.world.registry.push(&repository, "1", &image).await?,
            archive: layout::archive(&[(&loaded, &image)])?.into(),
            image,
            loaded,
        });
        Ok(at)
    }

    /// Does so many steps, unless the server ends before.
    pub(crate) async fn works(&mut self, seat: &Arc<Seat>, seed: u64, steps: u64) -> Result<()> {
        self.seat = Arc::clone(seat);
        self.dice = Dice::new(seed.wrapping_mul(31).wrapping_add(self.number as u64));
        for step in 0..steps {
            if self.seat.is_gone() {
                break;
            }
            let what = format!("worker {}, step {step}", self.number);
            self.step().await.context(what)?;
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<()> {
        let scarce = self.seat.scarce;
        match self.dice.below(100) {
            0..8 => self.pull().await,
            8..12 => self.push().await,
            12..17 => self.save().await,
            17..22 => self.load().await,
            22..26 => self.import().await,
            26..31 => self.tag().await,
            31..34 => self.list().await,
            34..37 => self.inspect().await,
            37..41 => self.remove_image().await,
            41..43 => self.prune().await,
            43..48 => self.create().await,
            48..54 => self.copy_in().await,
            54..58 => self.copy_out().await,
            58..61 => self.export().await,
            61..63 => self.changes().await,
            63..67 => self.commit().await,
            67..69 => self.remove_container().await,
            69..76 => self.command().await,
            76..80 => self.killed_command().await,
            80..84 => self.leaves_an_upload().await,
            84..88 => self.leaves_a_download().await,
            88..92 => self.leaves_at_once().await,
            92..95 => self.damage().await,
            _ if scarce.memory() && self.dice.below(2) == 0 => self.takes_memory().await,
            _ if scarce.time() && self.dice.below(2) == 0 => self.takes_time().await,
            _ if scarce.patience() => self.stands_still().await,
            // Each takes a place for seconds.
            _ if scarce.places() && self.dice.below(3) == 0 => self.is_turned_away().await,
            _ => self.inspect().await,
        }
    }

    /// The whole answer; none if the operation was cut.
    pub(crate) async fn ask(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Option<Answer>> {
        self.seat.ask(what, method, path, body.into()).await
    }

    /// Whether it was done. Of what was cut one does not know.
    pub(crate) async fn does(
        &self,
        what: &'static str,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
        status: u16,
    ) -> Result<bool> {
        let answer = self.ask(what, method, path, body).await?;
        let answer = answer.map(|answer| answer.expect_status(&[status]));
        let answer = answer.transpose();
        Ok(answer.with_context(|| format!("{what} {path}"))?.is_some())
    }

    /// A number that was not used yet.
    fn fresh(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    /// A new name of an image.
    pub(crate) fn fresh_name(&mut self, what: &str) -> String {
        let number = self.fresh();
        format!("{}{what}:{number}", self.prefix)
    }

    /// A new name of a container.
    pub(crate) fn fresh_container(&mut self) -> String {
        let number = self.fresh();
        format!("w{}-box{number}", self.number)
    }

    /// A name that certainly points at an image, and the image's digest. Something is pulled if there is none.
    pub(crate) async fn some_image(&mut self) -> Result<Option<(String, String)>> {
        let images = self.model.images();
        let some = self.dice.pick(&images).cloned();
        if some.is_none() {
            self.pull().await?;
        }
        Ok(some)
    }

    /// A container in which nothing is under way. One is created if there is none.
    pub(crate) async fn some_container(&mut self) -> Result<Option<String>> {
        let containers = self.model.certain_containers();
        let some = self.dice.pick(&containers).cloned();
        if some.is_none() {
            self.create().await?;
        }
        Ok(some)
    }

    /// One of the images in the registry.
    pub(crate) fn some_known(&mut self) -> usize {
        usize::try_from(self.dice.below(IMAGES)).unwrap_or_default()
    }

    /// That the image is here as it must be, told by its archive.
    pub(crate) fn is_saved(&self, digest: &str, archive: &[u8]) -> Result<()> {
        let saved = crate::saved::Saved::read(archive)?;
        ensure!(saved.root == digest, "{} instead of {digest}", saved.root);
        match self
            .known
            .iter()
            .find(|known| known.image.digest() == digest)
        {
            Some(known) => saved.holds(&known.image),
            None => saved.is_whole(),
        }
    }
}
