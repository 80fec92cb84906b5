//! SIGKILL while load, import, commit and copying into a container bring content in: the image is there, whole, or
//! not at all, and prune gives back what was left.

use super::{Doing, SEED, images, listed_images_can_be_inspected};
use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::json;
use std::path::Path;
use strata_tests::debian::{Content, Entry};
use strata_tests::dice::Dice;
use strata_tests::fault::FaultRegistry;
use strata_tests::image::small;
use strata_tests::layer::{Layer, noise, tar};
use strata_tests::layout;
use strata_tests::server::Server;
use strata_tests::store;

const ROUNDS: u64 = 12;
/// The name of what is made.
const NAME: &str = "127.0.0.1:1/killed/image:1";

/// Does something that makes an image of this name, killed at any moment of it, over and over.
async fn is_all_or_nothing(folder: &Path, doing: &Doing, seed: u64) -> Result<()> {
    let server = Server::start(folder, &[]).await?;
    let mut longest = doing.whole(&server).await?;
    ensure!(is_there(&server).await?, "{NAME} is not there");
    server.terminate().await?;
    let mut dice = Dice::new(seed);
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let moment = dice.below(longest);
        let what = || {
            let (method, path) = (&doing.method, &doing.path);
            format!("round {round} of seed {seed}, killed after {moment} µs of {method} {path}")
        };
        let server = Server::start(folder, &[]).await?;
        // Some begin with nothing there, some with what the kill before has left.
        if dice.below(2) == 0 {
            remove_all(&server).await?;
        }
        let met = doing.cut_short(server, moment).await?;
        interrupted += u64::from(met);
        let server = Server::start(folder, &[]).await.with_context(what)?;
        store::check_with_skopeo(folder).await.with_context(what)?;
        let listed = listed_images_can_be_inspected(&server).await;
        listed.with_context(what)?;
        is_there(&server).await.with_context(what)?;
        longest = longest.max(doing.whole(&server).await.with_context(what)?);
        ensure!(is_there(&server).await?, "{}: not there", what());
        server.terminate().await?;
    }
    ensure!(
        interrupted >= ROUNDS / 4,
        "only {interrupted} of {ROUNDS} kills met {}",
        doing.path
    );
    Ok(())
}

/// Whether the image is there; then it can be inspected and saved, that is read to its last byte.
async fn is_there(server: &Server) -> Result<bool> {
    let inspected = server.http.get(&format!("/images/{NAME}/json")).await?;
    if inspected.status == 404 {
        return Ok(false);
    }
    inspected.expect_status(&[200])?;
    let saved = server.http.get(&format!("/images/{NAME}/get")).await?;
    saved.expect_status(&[200])?;
    Ok(true)
}

async fn remove_all(server: &Server) -> Result<()> {
    let path = format!("/images/{NAME}?force=1");
    let removed = server.http.delete(&path).await?;
    removed.expect_status(&[200, 404])?;
    server
        .http
        .post("/images/prune")
        .await?
        .expect_status(&[200])?;
    Ok(())
}

fn entry(path: &str, bytes: impl Into<Bytes>) -> Entry {
    Entry {
        path: path.to_owned(),
        mode: 0o644,
        content: Content::File(bytes.into()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_load_is_all_or_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let doing = Doing::post("/images/load", layout::archive(&[(NAME, &images()?[0])])?);
    is_all_or_nothing(folder.path(), &doing, SEED + 3).await?;
    super::prune_gives_all_back(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_import_is_all_or_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (repository, tag) = NAME.rsplit_once(':').context("no tag")?;
    let path = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
    let doing = Doing::post(&path, Layer::noise(7, 3 << 20)?.bytes);
    is_all_or_nothing(folder.path(), &doing, SEED + 4).await?;
    super::prune_gives_all_back(folder.path()).await
}

/// A container of a small image, and its ID.
async fn container(folder: &Path) -> Result<(Server, String)> {
    let registry = FaultRegistry::start().await?;
    let image = registry.add("kill/container", "1", &small("container")?);
    let server = Server::start(folder, &[]).await?;
    server.pull(&image).await?.ok()?;
    let headers = [("content-type", "application/json")];
    let body = json!({"Image": image, "Cmd": ["true"]}).to_string();
    let http = &server.http;
    let created = http.send(Method::POST, "/containers/create", &headers, body);
    let created = created.await?.expect_status(&[201])?.json()?;
    let id = created["Id"]
        .as_str()
        .context("a container without an Id")?;
    Ok((server, id.to_owned()))
}

/// Copies a file of noise into a container.
fn copy(id: &str, name: &str, size: usize) -> Result<Doing> {
    Ok(Doing {
        method: Method::PUT,
        path: format!("/containers/{id}/archive?path=/etc"),
        body: tar(&[entry(name, noise(size as u64, size))])?.into(),
    })
}

async fn remove_container(server: &Server, id: &str) -> Result<()> {
    let path = format!("/containers/{id}?force=1");
    let removed = server.http.delete(&path).await?;
    removed.expect_status(&[204])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_commit_is_all_or_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, id) = container(folder.path()).await?;
    // Twice: so that the layer must be made of two.
    for name in ["one", "two"] {
        copy(&id, name, 2 << 20)?.whole(&server).await?;
    }
    server.terminate().await?;
    let (repository, tag) = NAME.rsplit_once(':').context("no tag")?;
    let path = format!("/commit?container={id}&repo={repository}&tag={tag}");
    is_all_or_nothing(folder.path(), &Doing::post(&path, "{}"), SEED + 5).await?;
    let server = Server::start(folder.path(), &[]).await?;
    remove_container(&server, &id).await?;
    server.terminate().await?;
    super::prune_gives_all_back(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_into_a_container_is_all_or_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, id) = container(folder.path()).await?;
    let mut longest = copy(&id, "first", 3 << 20)?.whole(&server).await?;
    server.terminate().await?;
    let mut dice = Dice::new(SEED + 6);
    let mut interrupted = 0;
    for round in 0..ROUNDS {
        let what = || format!("round {round} of seed {}", SEED + 6);
        let name = format!("file{round}");
        let size = (3 << 20) + usize::try_from(round)?;
        let doing = copy(&id, &name, size)?;
        let server = Server::start(folder.path(), &[]).await?;
        let met = doing.cut_short(server, dice.below(longest)).await?;
        interrupted += u64::from(met);
        let server = Server::start(folder.path(), &[]).await.with_context(what)?;
        store::check_with_skopeo(folder.path())
            .await
            .with_context(what)?;
        let path = format!("/containers/{id}/archive?path=/etc/{name}");
        let there = server.http.get(&path).await?.expect_status(&[200, 404])?;
        // The whole file with its header, or none of it.
        ensure!(
            there.status == 404 || there.body.len() > size,
            "{}: {} bytes of {size}",
            what(),
            there.body.len()
        );
        longest = longest.max(doing.whole(&server).await.with_context(what)?);
        server.http.get(&path).await?.expect_status(&[200])?;
        server.terminate().await?;
    }
    ensure!(
        interrupted >= ROUNDS / 4,
        "only {interrupted} of {ROUNDS} kills met a running copy"
    );
    let server = Server::start(folder.path(), &[]).await?;
    remove_container(&server, &id).await?;
    server.terminate().await?;
    super::prune_gives_all_back(folder.path()).await
}
