//! Every pair of routes at once, on a server that was just started: no request may depend on, wait for or
//! break another, whatever order they reach a cold component in.
//!
//! Those that work with images and containers are paired one by one. Those that are answered at once come
//! as a company, and each meets every other one as well.

mod routes;
mod table;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::future::join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hyper::Method;
use routes::{Elsewhere, Route, layer, quick, working};
use std::fs;
use std::path::Path;
use strata_tests::fault::FaultRegistry;
use strata_tests::image::small;
use strata_tests::server::{Server, escape};

/// Servers at once: one a processor on the smallest machine this is meant for.
const SERVERS: usize = 2;
/// Quick ones beside one that works, and half as many beside each other: so many run at once in
/// instances of their own whatever the others do.
const COMPANY: usize = 7;

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_routes_gets_its_answers_from_a_cold_server() -> Result<()> {
    let registry = FaultRegistry::start().await?;
    registry.add_blob("layer.tar", layer()?);
    let mut elsewhere = Elsewhere {
        pulled: registry.add("pulled", "1", &small("pulled")?),
        pushed: format!("{}/pushed", registry.host),
        url: format!("{}/v2/files/blobs/layer.tar", registry.url()),
        archive: Bytes::new(),
    };
    let store = tempfile::tempdir()?;
    elsewhere.archive = prepare(store.path(), &registry, &elsewhere.pushed).await?;
    let (working, quick) = (working(&elsewhere)?, quick());
    let (working, quick): (Vec<_>, Vec<_>) = (working.iter().collect(), quick.iter().collect());
    let companies: Vec<_> = quick.chunks(COMPANY).collect();
    let mut asked = pairs(&working.chunks(1).collect::<Vec<_>>());
    for one in &working {
        asked.extend(companies.iter().map(|company| [&[*one], *company].concat()));
    }
    asked.extend(pairs(&quick.chunks(COMPANY / 2).collect::<Vec<_>>()));
    let asked = asked.iter().map(|routes| {
        let store = store.path();
        async move {
            at_once(store, routes).await.with_context(|| {
                let names: Vec<_> = routes.iter().map(|route| route.name()).collect();
                names.join(" beside ")
            })
        }
    });
    stream::iter(asked)
        .buffer_unordered(SERVERS)
        .try_collect()
        .await
}

/// Each with each, and with itself.
fn pairs<'a>(of: &[&[&'a Route]]) -> Vec<Vec<&'a Route>> {
    let pairs = of.iter().enumerate().flat_map(|(number, one)| {
        let others = of.iter().skip(number);
        others.map(|other| [*one, *other].concat())
    });
    pairs.collect()
}

/// A store with two images, one of them under a name to push, and two containers. Returns an archive of one image.
async fn prepare(store: &Path, registry: &FaultRegistry, pushed: &str) -> Result<Bytes> {
    let server = Server::start(store, &[]).await?;
    for name in ["one", "two"] {
        let reference = registry.add(name, "1", &small(name)?);
        server.pull(&reference).await?.ok()?;
        let tag = format!("/images/{reference}/tag?repo={name}&tag=1");
        server.http.post(&tag).await?.expect_status(&[201])?;
    }
    let tag = format!("/images/one:1/tag?repo={}&tag=1", escape(pushed));
    server.http.post(&tag).await?.expect_status(&[201])?;
    for name in ["box", "jar"] {
        Route::new(Method::POST, format!("/containers/create?name={name}"), 201)
            .json(r#"{"Image":"one:1","Cmd":["x"]}"#)
            .ask(&server.http)
            .await?
            .expect_status(&[201])?;
    }
    let archive = server.http.get("/images/get?names=two:1").await?.body;
    server.terminate().await?;
    Ok(archive)
}

/// Asks for all at once, on a fresh server over a copy of the store.
async fn at_once(prepared: &Path, routes: &[&Route]) -> Result<()> {
    let store = tempfile::tempdir()?;
    copy(prepared, store.path())?;
    let server = Server::start(store.path(), &[]).await?;
    let answers = join_all(routes.iter().map(|route| route.ask(&server.http))).await;
    for (number, (route, answer)) in routes.iter().zip(answers).enumerate() {
        let others = routes
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != number);
        let right = route.is_right(&answer?, others.map(|(_, other)| *other));
        right.with_context(|| server.log().unwrap_or_default())?;
    }
    let log = server.log()?;
    let calm = !["ERROR", "panicked", "wasm"]
        .iter()
        .any(|word| log.contains(word));
    ensure!(calm, "{log}");
    server.answers().await
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
