//! SIGKILL at random moments: whatever was being done, the store holds. Here of pull, tag, rmi and prune.

mod push;
mod writes;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use std::path::Path;
use std::time::{Duration, Instant};
use strata_tests::client::home;
use strata_tests::dice::Dice;
use strata_tests::http::{Answer, Http};
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Layer;
use strata_tests::registry::Registry;
use strata_tests::server::{Server, command, escape, pull_path};
use strata_tests::{store, workspace};

const ROUNDS: u64 = 50;
/// A different seed is a different series of moments; a failing one is named in the failure.
const SEED: u64 = 20_260_101;
/// What a store without images may weigh: its own small files, the database not counted.
const EMPTY_STORE: u64 = 64 << 10;

/// A request during which the server is killed.
#[derive(Clone)]
struct Doing {
    method: Method,
    path: String,
    body: Bytes,
}

impl Doing {
    fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self {
            method: Method::POST,
            path: path.to_owned(),
            body: body.into(),
        }
    }

    /// Does all of it, and tells how many microseconds that took.
    async fn whole(&self, server: &Server) -> Result<u64> {
        let started = Instant::now();
        let answer = self.ask(server.http.clone()).await?;
        let text = answer.text();
        // Streams say in their last line that something went wrong.
        ensure!(
            answer.status < 300 && !text.contains("errorDetail"),
            "{} {}: {text}",
            self.method,
            self.path
        );
        Ok(u64::try_from(started.elapsed().as_micros())?.max(1))
    }

    /// Kills the server so many microseconds after the request. Whether it was still at it.
    async fn cut_short(&self, server: Server, moment: u64) -> Result<bool> {
        let (this, http) = (self.clone(), server.http.clone());
        let running = tokio::spawn(async move { this.ask(http).await });
        // The moment is the point here, not a condition to wait for: any of them must be survived.
        tokio::time::sleep(Duration::from_micros(moment)).await;
        server.kill().await?;
        // No answer, or one that broke off: the kill came in time.
        Ok(running.await?.is_err())
    }

    async fn ask(&self, http: Http) -> Result<Answer> {
        let headers = [("content-type", "application/json")];
        // A tar has no such type, but nobody looks at it there.
        http.send(self.method.clone(), &self.path, &headers, self.body.clone())
            .await
    }
}

fn images() -> Result<Vec<Image>> {
    // Layers are shared in part, so that removing one image must spare what another uses.
    let shared = Layer::noise(100, 1 << 20)?;
    (0..4)
        .map(|seed| {
            let own = Layer::noise(seed, 2 << 20)?;
            Ok(Image::builder(Schema::Oci)
                .layer(shared.clone(), "shared")
                .layer(own, "own")
                .build())
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_survives_fifty_kills() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start().await?;
    let mut references = Vec::new();
    for (number, image) in images()?.iter().enumerate() {
        references.push(registry.push(&format!("kill/{number}"), "1", image).await?);
    }
    let mut dice = Dice::new(SEED);
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let server = Server::start(folder.path(), &[]).await?;
        let reference = &references[usize::try_from(dice.below(4))?];
        // Something to tag, remove and prune, in most rounds.
        if dice.below(3) > 0 {
            server.pull(reference).await?.ok()?;
        }
        let request = match dice.below(6) {
            0 | 1 => (
                "POST",
                pull_path(&references[usize::try_from(dice.below(4))?]),
            ),
            2 => (
                "POST",
                format!("/images/{reference}/tag?repo=mine&tag=t{}", dice.below(3)),
            ),
            3 => ("DELETE", format!("/images/{reference}?force=1")),
            4 => ("DELETE", format!("/images/mine:t{}", dice.below(3))),
            _ => (
                "POST",
                format!(
                    "/images/prune?filters={}",
                    escape(r#"{"dangling":["false"]}"#)
                ),
            ),
        };
        // A pull takes longer than the rest.
        let longest = if request.1.contains("create") {
            40_000
        } else {
            4_000
        };
        let doing = Doing {
            method: request.0.parse()?,
            path: request.1.clone(),
            body: Bytes::new(),
        };
        let met = doing.cut_short(server, dice.below(longest)).await?;
        interrupted += u64::from(met);

        let what = || {
            format!(
                "round {round} of seed {SEED}, killed in {} {}",
                request.0, request.1
            )
        };
        let server = Server::start(folder.path(), &[]).await.with_context(what)?;
        store::check_with_skopeo(folder.path())
            .await
            .with_context(what)?;
        listed_images_can_be_inspected(&server)
            .await
            .with_context(what)?;
        server.kill().await?;
    }
    ensure!(
        interrupted >= ROUNDS / 5,
        "only {interrupted} of {ROUNDS} kills met a running operation"
    );
    prune_gives_all_back(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_command_leaves_a_store_that_holds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = Registry::start().await?;
    let reference = registry.push("kill/command", "1", &images()?[0]).await?;
    let mut dice = Dice::new(SEED + 1);
    for round in 0..10 {
        let mut pull = command(&workspace::strata()?, &home()?)
            .args(["pull", "--store"])
            .arg(folder.path())
            .arg(&reference)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        tokio::time::sleep(Duration::from_micros(dice.below(200_000))).await;
        pull.kill().await?;
        let server = Server::start(folder.path(), &[]).await?;
        store::check_with_skopeo(folder.path())
            .await
            .with_context(|| format!("round {round}"))?;
        server.kill().await?;
    }
    let server = Server::start(folder.path(), &[]).await?;
    server.pull(&reference).await?.ok()?;
    server.kill().await?;
    prune_gives_all_back(folder.path()).await
}

async fn listed_images_can_be_inspected(server: &Server) -> Result<()> {
    let list = server.http.get("/images/json?all=1").await?.json()?;
    for image in list.as_array().context("the list is no array")? {
        let id = image["Id"].as_str().context("an image without an Id")?;
        server
            .http
            .get(&format!("/images/{id}/json"))
            .await?
            .expect_status(&[200])?;
    }
    Ok(())
}

async fn prune_gives_all_back(folder: &Path) -> Result<()> {
    let server = Server::start(folder, &[]).await?;
    let filters = escape(r#"{"dangling":["false"]}"#);
    server
        .http
        .post(&format!("/images/prune?filters={filters}"))
        .await?
        .expect_status(&[200])?;
    server.terminate().await?;
    ensure!(
        store::blobs(folder)?.is_empty(),
        "left after prune: {:?}",
        store::blobs(folder)?
    );
    let left = store::content_size(folder)?;
    ensure!(left <= EMPTY_STORE, "{left} bytes left after prune");
    Ok(())
}
