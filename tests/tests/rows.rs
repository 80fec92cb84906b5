//! A bit that flips inside a row of the store's database harms at most one name, and no operation.

use anyhow::{Context, Result, ensure};
use hyper::Method;
use std::path::Path;
use strata_tests::client::strata;
use strata_tests::fault::FaultRegistry;
use strata_tests::image::small;
use strata_tests::server::{Server, escape};
use strata_tests::store;
use tempfile::TempDir;

/// Three images, and a container of the first.
struct Bench {
    store: TempDir,
    _registry: FaultRegistry,
    references: Vec<String>,
    digests: Vec<String>,
}

/// Places of a text that are harmed one by one: a name is in two tables.
const SINGLE: usize = 2;

/// What becomes of a text.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// It is harmed wherever it is.
    Everywhere,
    /// One of them is.
    Only(usize),
    /// One of them is, counted from the end.
    Last(usize),
}

impl Bench {
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let registry = FaultRegistry::start().await?;
        let server = Server::start(store.path(), &[]).await?;
        let (mut references, mut digests) = (Vec::new(), Vec::new());
        for name in ["first", "second", "third"] {
            let image = small(name)?;
            let reference = registry.add(name, "1", &image);
            server.pull(&reference).await?.ok()?;
            references.push(reference);
            digests.push(image.digest().to_owned());
        }
        let body = serde_json::json!({ "Image": references[0], "Cmd": ["sh"] }).to_string();
        let headers = [("content-type", "application/json")];
        let path = "/containers/create?name=box";
        let created = server.http.send(Method::POST, path, &headers, body);
        created.await?.expect_status(&[201])?;
        server.terminate().await?;
        Ok(Self {
            store,
            _registry: registry,
            references,
            digests,
        })
    }

    /// A copy of the store in which a byte of `text`, `at` from its start, is another one.
    fn harmed(&self, text: &str, at: usize, mask: u8, place: Place) -> Result<Option<TempDir>> {
        let copy = tempfile::tempdir()?;
        let from = format!("{}/.", self.store.path().display());
        let copied = std::process::Command::new("cp")
            .args(["-a", &from])
            .arg(copy.path())
            .status()?;
        ensure!(copied.success(), "{copied}");
        let path = copy.path().join(".strata/store.db");
        let is_harmed = harm(&path, text, at, mask, place)?;
        Ok(is_harmed.then_some(copy))
    }

    /// Every route works on what is not harmed; what is may be removed.
    async fn routes(&self, server: &Server, is_lost: bool) -> Result<()> {
        let http = &server.http;
        let [first, second, third] = self.references.as_slice() else {
            anyhow::bail!("three images");
        };
        let list = http
            .get("/images/json")
            .await?
            .expect_status(&[200])?
            .text();
        for reference in [second, third] {
            ensure!(list.contains(reference.as_str()), "{list}");
            let path = format!("/images/{reference}/json");
            http.get(&path).await?.expect_status(&[200])?;
        }
        ensure!(is_lost || list.contains(first.as_str()), "{list}");
        let all = http.get("/containers/json?all=1").await?;
        let all = all.expect_status(&[200])?.text();
        ensure!(is_lost || all.contains("/box"), "{all}");
        let tag = format!("/images/{second}/tag?repo=again&tag=1");
        http.post(&tag).await?.expect_status(&[201])?;
        http.post("/images/prune").await?.expect_status(&[200])?;
        let get = format!("/images/get?names={}", escape(second));
        http.get(&get).await?.expect_status(&[200])?;
        let gone: &[u16] = if is_lost { &[200, 404] } else { &[200] };
        let remove = format!("/images/{first}?force=1");
        http.delete(&remove).await?.expect_status(gone)?;
        let gone: &[u16] = if is_lost { &[204, 404] } else { &[204] };
        http.delete("/containers/box").await?.expect_status(gone)?;
        http.delete(&format!("/images/{third}"))
            .await?
            .expect_status(&[200])?;
        server.pull(first).await?.ok()?;
        let list = http
            .get("/images/json")
            .await?
            .expect_status(&[200])?
            .text();
        ensure!(list.contains(first.as_str()), "{list}");
        Ok(())
    }
}

/// Changes a byte of a text in a file; false if it is not there so often.
fn harm(path: &Path, text: &str, at: usize, mask: u8, place: Place) -> Result<bool> {
    let mut bytes = std::fs::read(path)?;
    let found: Vec<usize> = bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes())
        .map(|(at, _)| at)
        .collect();
    let harmed: Vec<usize> = match place {
        Place::Everywhere => found,
        Place::Only(number) => found.into_iter().skip(number).take(1).collect(),
        Place::Last(number) => found.into_iter().rev().skip(number).take(1).collect(),
    };
    for start in &harmed {
        bytes[start + at] ^= mask;
    }
    std::fs::write(path, bytes)?;
    Ok(!harmed.is_empty())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_database_harms_at_most_one_name() -> Result<()> {
    let bench = Bench::new().await?;
    let (first, digest) = (bench.references[0].clone(), bench.digests[0].clone());
    let last = digest.len() - 1;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    for (text, at, mask) in [
        // To no digit, to another one, to no algorithm; to what is no reference, or no text.
        (digest.as_str(), last, 0x40),
        (digest.as_str(), last, 0x01),
        (digest.as_str(), 1, 0x0a),
        (first.as_str(), 0, 0x20),
        (first.as_str(), 3, 0x80),
        (media_type, 0, 0x80),
        ("containers", 0, 0x80),
    ] {
        let places = [Place::Everywhere].into_iter();
        for place in places.chain((0..SINGLE).map(Place::Only)) {
            let case = format!("{text} at {at} ^ {mask:#x} {place:?}");
            let Some(store) = bench.harmed(text, at, mask, place)? else {
                break;
            };
            let is_lost = matches!(place, Place::Everywhere);
            let server = Server::start(store.path(), &[])
                .await
                .context(case.clone())?;
            let done = bench.routes(&server, is_lost).await;
            let log = server.log()?;
            done.with_context(|| format!("{case}: {log}"))?;
            ensure!(!log.contains("ERROR"), "{case}: {log}");
            let (status, log) = server.stop().await?;
            ensure!(status.success(), "{case}: {log}");
            let path = store.path().display().to_string();
            let checked = strata(&["check", "--store", &path, "--quiet"]).await?;
            let right: &[i32] = if is_lost { &[0, 4] } else { &[0] };
            ensure!(right.contains(&checked.status), "{case}: {checked:?}");
            let repaired = strata(&["check", "--repair", "--store", &path, "--quiet"]).await?;
            ensure!(is_lost || repaired.status == 0, "{case}: {repaired:?}");
            if !is_lost {
                store::check(store.path()).with_context(|| case.clone())?;
            }
        }
    }
    Ok(())
}

/// The log beside the database is read again without its checksums while it is open.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_log_of_a_running_server_harms_nothing() -> Result<()> {
    let bench = Bench::new().await?;
    let path = bench.store.path();
    let server = Server::start(path, &[]).await?;
    let second = &bench.references[1];
    // So that all rows are in the log.
    let tag = format!("/images/{second}/tag?repo=again&tag=0");
    server.http.post(&tag).await?.expect_status(&[201])?;
    let log = path.join(".strata/store.db-wal");
    // The newest pages are read: those of the names, and of what else is with them.
    for number in 0..4 {
        let harmed = harm(&log, &bench.references[0], 3, 0x80, Place::Last(number))?;
        ensure!(harmed, "the names are in the log");
        // Another process changes something, so that pages in memory are read again.
        let (store, new) = (path.display().to_string(), format!("again:{number}"));
        let tagged = strata(&["tag", "--store", &store, second, &new]).await?;
        ensure!(tagged.status == 0, "{tagged:?}");
        let list = server.http.get("/images/json").await?;
        let list = list.expect_status(&[200])?.text();
        for reference in &bench.references {
            ensure!(list.contains(reference.as_str()), "{number}: {list}");
        }
    }
    bench
        .routes(&server, false)
        .await
        .with_context(|| server.log().unwrap_or_default())?;
    Ok(())
}
