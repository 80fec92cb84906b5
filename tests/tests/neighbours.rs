//! Others at the same time: slow, stalled, or with more than anybody sends. Each keeps its slowness and its weight to
//! itself.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hyper::Method;
use strata_tests::fault::{Fault, FaultRegistry, Gate, Phase};
use strata_tests::http::Http;
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::Layer;
use strata_tests::poll::{until, within};
use strata_tests::raw::{Raw, status};
use strata_tests::server::{Server, command};
use strata_tests::{client, layout, workspace};
use tokio::io::{AsyncBufReadExt as _, BufReader};

/// Bytes of the layer that several want.
const LAYER: usize = 4 << 20;

fn image() -> Result<Image> {
    Ok(Image::builder(Schema::Oci)
        .layer(Layer::noise(7, LAYER)?, "COPY noise /")
        .build())
}

/// Memory the server has now, in KiB.
fn resident(server: &Server) -> Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.context("no VmRSS")?.parse()?)
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_the_registry_somebody_else_chose() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let (slow, good) = (FaultRegistry::start().await?, FaultRegistry::start().await?);
    let (there, here) = (
        slow.add("app", "1", &image()?),
        good.add("app", "1", &image()?),
    );
    let gate = Gate::new();
    slow.always(Phase::Layer, Fault::Hold(LAYER / 2, gate.clone()));
    let mut held = Raw::tcp(&server.host).await?;
    let (name, tag) = there.rsplit_once(':').context("a tag")?;
    held.send(format!(
        "POST /images/create?fromImage={name}&tag={tag} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    ))
    .await?;
    gate.reached(1).await?;
    within("the other pull", server.pull(&here)).await??.ok()?;
    gate.open();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_an_upload_of_the_same_layer() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let reference = registry.add("app", "1", &image()?);
    let archive = layout::archive(&[("loaded:1", &image()?)])?;
    let mut held = Raw::tcp(&server.host).await?;
    held.send(format!(
        "POST /images/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
        archive.len()
    ))
    .await?;
    held.send(&archive[..LAYER / 2]).await?;
    // What came of it is being written.
    let ingests = store.path().join(".strata/ingest");
    until("the upload to be written", async || {
        let mut files = std::fs::read_dir(&ingests).ok()?;
        files.next().map(drop)
    })
    .await?;
    let loaded = server
        .http
        .send(Method::POST, "/images/load?quiet=1", &[], archive.clone());
    let loaded = within("a load of the same", loaded).await??;
    ensure!(loaded.text().contains("Loaded image"), "{}", loaded.text());
    within("a pull of the same", server.pull(&reference))
        .await??
        .ok()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_heads_weigh_no_more_than_their_bound() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    server.answers().await?;
    let before = resident(&server)?;
    let mut crowd = Vec::new();
    for _ in 0..300 {
        let mut raw = Raw::tcp(&server.host).await?;
        let head = format!(
            "POST /images/load HTTP/1.1\r\nHost: localhost\r\nX-Registry-Auth: {}\r\n\
             Content-Length: 100000\r\n\r\n",
            "e".repeat(900_000)
        );
        // One that is refused may be closed before it has sent all of it.
        let _ = raw.send(head).await;
        let _ = raw.send(vec![b'x'; 20_000]).await;
        crowd.push(raw);
    }
    for raw in &mut crowd {
        let answer = within("a head", raw.until("\r\n")).await??;
        ensure!([200, 503].contains(&status(&answer)), "{answer}");
    }
    let grown = resident(&server)?.saturating_sub(before);
    ensure!(grown < 160 << 10, "{grown} KiB for 300 clients");
    server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_nobody_reads_holds_nobody_up() -> Result<()> {
    let store = tempfile::tempdir()?;
    // Both ends of the pipe stay open, and nothing is ever read.
    let mut process = command(&workspace::strata()?, &client::home()?)
        .args(["serve", "--listen", "tcp://127.0.0.1:0", "--log", "trace"])
        .arg("--store")
        .arg(store.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let stdout = process.stdout.take().context("no pipe")?;
    let mut lines = BufReader::new(stdout).lines();
    let line = within("an address", lines.next_line()).await??;
    let line = line.context("strata has ended")?;
    let address = line
        .strip_prefix("listening on tcp://")
        .context("no address")?;
    let http = Http::new(&format!("http://{address}"));
    for _ in 0..1500 {
        within("an answer", http.get("/images/json"))
            .await??
            .expect_status(&[200])?;
    }
    ensure!(process.try_wait()?.is_none(), "it has ended");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_connections_ask_something_a_newcomer_is_served() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &["--connections", "8"]).await?;
    let registry = FaultRegistry::start().await?;
    let reference = registry.add("small", "1", &small("small")?);
    server.pull(&reference).await?.ok()?;
    let body = serde_json::json!({ "Image": reference, "Cmd": ["x"] }).to_string();
    let created = server.http.send(
        Method::POST,
        "/containers/create?name=box",
        &[("content-type", "application/json")],
        body.into_bytes(),
    );
    created.await?.expect_status(&[201])?;
    let mut crowd = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::tcp(&server.host).await?;
        raw.send(
            "POST /containers/box/wait?condition=next-exit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
        )
        .await?;
        within("a head", raw.until("\r\n\r\n")).await??;
        crowd.push(raw);
    }
    let mut newcomer = Raw::tcp(&server.host).await?;
    newcomer
        .send("GET /_ping HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await?;
    let answer = within("a ping", newcomer.until("\r\n\r\n")).await??;
    ensure!(status(&answer) == 200, "{answer}");
    Ok(())
}
