//! Many who wait, or who ask for the same heavy thing, keep nobody else from working.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::{Map, Value, json};
use strata_tests::fault::FaultRegistry;
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::{Compression, Layer};
use strata_tests::memory::{Memory, memory};
use strata_tests::poll::{until, within};
use strata_tests::raw::{Raw, status};
use strata_tests::server::Server;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// More than there are places for operations.
const CROWD: usize = 160;

struct House {
    server: Server,
    registry: FaultRegistry,
    reference: String,
    _store: TempDir,
}

impl House {
    /// A server with an image and a container `box` of it.
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        let registry = FaultRegistry::start().await?;
        let reference = registry.add("small", "1", &small("small")?);
        server.pull(&reference).await?.ok()?;
        let body = json!({ "Image": reference, "Cmd": ["x"] }).to_string();
        let created = server.http.send(
            Method::POST,
            "/containers/create?name=box",
            &[("content-type", "application/json")],
            body.into_bytes(),
        );
        created.await?.expect_status(&[201])?;
        Ok(Self {
            server,
            registry,
            reference,
            _store: store,
        })
    }

    /// So many connections on which this was asked, and the answer is not waited for.
    async fn crowd(&self, request: &str) -> Result<Vec<Raw>> {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let mut raw = Raw::tcp(&self.server.host).await?;
            let head =
                format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
            raw.send(head).await?;
            crowd.push(raw);
        }
        Ok(crowd)
    }

    /// Pulls an image with a great many labels, and lists it several times at once.
    async fn lists_a_heavy_image(&self) -> Result<()> {
        let labels: Map<String, Value> = (0..300_000)
            .map(|number| (format!("l{number}"), json!("")))
            .collect();
        let heavy = Image::builder(Schema::Oci)
            .layer(Layer::from_text("a", "a", Compression::Plain)?, "COPY a /")
            .labels(Value::Object(labels))
            .build();
        let heavy = self.registry.add("heavy", "1", &heavy);
        self.server.pull(&heavy).await?.ok()?;
        let mut asking = JoinSet::new();
        for _ in 0..6 {
            let http = self.server.http.clone();
            asking.spawn(async move {
                for _ in 0..3 {
                    let listed = within("a list", http.get("/images/json")).await??;
                    let images = listed.expect_status(&[200])?.json()?;
                    ensure!(images.as_array().is_some_and(|images| images.len() == 2));
                }
                Ok(())
            });
        }
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        Ok(())
    }

    /// Operations with instances of their own are answered.
    async fn works(&self) -> Result<()> {
        let http = &self.server.http;
        for path in [
            format!("/images/{}/get", self.reference),
            "/containers/box/export".to_owned(),
        ] {
            within(&path, http.get(&path))
                .await??
                .expect_status(&[200])?;
        }
        let pruned = within("a prune", http.post("/images/prune")).await??;
        pruned.expect_status(&[200])?;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_only_waits_takes_no_place_of_others() -> Result<()> {
    let house = House::new().await?;
    let wait = "POST /containers/box/wait?condition=next-exit";
    let mut crowd = house.crowd(wait).await?;
    for raw in &mut crowd {
        within("a head", raw.until("\r\n\r\n")).await??;
    }
    house.works().await?;
    let gone = house.server.http.delete("/containers/box").await?;
    gone.expect_status(&[204])?;
    // All are told.
    for raw in &mut crowd {
        within("the end of a wait", raw.until("\"StatusCode\":0")).await??;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_says_nothing_keeps_no_place() -> Result<()> {
    let house = House::new().await?;
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let address = silent.local_addr()?;
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = silent.accept().await {
            held.push(stream);
            count.fetch_add(1, Relaxed);
        }
    });
    let pull = format!("POST /images/create?fromImage={address}/x&tag=1");
    let _crowd = house.crowd(&pull).await?;
    // Those who have a place give way to those of the crowd that have none.
    until("all pulls to ask", async || {
        (asked.load(Relaxed) >= CROWD).then_some(())
    })
    .await?;
    house.works().await?;
    accepting.abort();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_with_a_heavy_image_ends_for_all_who_ask() -> Result<()> {
    let house = House::new().await?;
    house.lists_a_heavy_image().await
}

/// Bytes of memory that a server has at most in ordinary use.
const ORDINARY: u64 = 144 << 20;

/// An instance that grew ends when it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn memory_that_a_crowd_took_is_given_back() -> Result<()> {
    let house = House::new().await?;
    let resident = || memory(house.server.pid(), Memory::Resident);
    house.lists_a_heavy_image().await?;
    let crowded = resident()?;
    ensure!(crowded > ORDINARY + (16 << 20), "{crowded}");
    let is_back = async || resident().ok().filter(|now| *now < ORDINARY);
    // An instance is kept for a minute.
    if until("memory to be given back", is_back).await.is_err() {
        until("memory to be given back", is_back).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_is_the_clients_fault() -> Result<()> {
    let house = House::new().await?;
    let piece = [b"1000\r\n".as_slice(), &[b'x'; 4096], b"\r\n"].concat();
    for (request, end) in [
        ("PUT /containers/box/archive?path=/", "800\r\nx"),
        ("PUT /containers/box/archive?path=/", "no size\r\n"),
        ("POST /images/create?fromSrc=-&repo=cut", "800\r\nx"),
    ] {
        let mut raw = Raw::tcp(&house.server.host).await?;
        let head =
            format!("{request} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
        raw.send(head).await?;
        raw.send(piece.repeat(10)).await?;
        raw.send(end).await?;
        raw.half_close().await?;
        let answer = within("an answer", raw.rest()).await??;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(status(&answer) == 400, "{request} {end:?}: {answer}");
    }
    house.works().await
}
