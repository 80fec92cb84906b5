//! What one client does, no other one feels: memory, processor time, clients that stand still.

use anyhow::{Result, ensure};
use hyper::Method;
use serde_json::json;
use strata_tests::debian::{Content, Entry};
use strata_tests::fault::FaultRegistry;
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::{Compression, Layer, noise, tar};
use strata_tests::poll::within;
use strata_tests::server::Server;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Larger than what the kernel keeps of an answer that nobody reads.
const LARGE: usize = 24 << 20;

struct House {
    server: Server,
    registry: FaultRegistry,
    _store: TempDir,
}

impl House {
    async fn new(args: &[&str]) -> Result<Self> {
        let store = tempfile::tempdir()?;
        Ok(Self {
            server: Server::start(store.path(), args).await?,
            registry: FaultRegistry::start().await?,
            _store: store,
        })
    }

    async fn pulled(&self, name: &str, image: &Image) -> Result<String> {
        let reference = self.registry.add(name, "1", image);
        self.server.pull(&reference).await?.ok()?;
        Ok(reference)
    }

    /// A connection that has sent this.
    async fn connection(&self, sent: &[u8]) -> Result<TcpStream> {
        let address = self.server.host.trim_start_matches("tcp://");
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(sent).await?;
        Ok(stream)
    }

    async fn reader(&self, path: &str) -> Result<TcpStream> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        self.connection(request.as_bytes()).await
    }

    /// Nothing of it is the log's affair.
    fn is_quiet(&self) -> Result<()> {
        let log = self.server.log()?;
        for word in ["ERROR", "panicked", "backtrace"] {
            ensure!(!log.contains(word), "{log}");
        }
        Ok(())
    }
}

/// All that still comes, until the connection ends in whatever way.
async fn rest(mut stream: TcpStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let read = within("the connection to end", stream.read_to_end(&mut bytes)).await?;
    drop(read);
    Ok(bytes)
}

fn large() -> Result<Image> {
    let layer = Layer::noise(11, LARGE)?;
    Ok(Image::builder(Schema::Oci)
        .layer(layer, "COPY large /")
        .build())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_stands_still_is_cut_off() -> Result<()> {
    let house = House::new(&["--stall-limit", "1", "--log", "strata=debug"]).await?;
    let reference = house.pulled("large", &large()?).await?;

    let reader = house.reader(&format!("/images/{reference}/get")).await?;
    // Reads once it was cut: what the kernel has, and no end.
    let log = async || {
        let log = house.server.log().ok()?;
        log.contains("connection ended: error writing")
            .then_some(())
    };
    strata_tests::poll::until("the reader to be cut", log).await?;
    let read = rest(reader).await?;
    ensure!(read.len() < LARGE, "{} bytes came", read.len());
    ensure!(!read.ends_with(b"0\r\n\r\n"), "it looks whole");

    // Before there is an instance for it, and when it has one.
    let archive = tar(&[Entry {
        path: "blobs/sha256/a".to_owned(),
        mode: 0o644,
        content: Content::File(noise(5, 200_000).into()),
    }])?;
    for sent in [100, 100_000] {
        let head =
            "POST /images/load HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        let chunk = format!("{sent:x}\r\n");
        let writer = house
            .connection(&[head.as_bytes(), chunk.as_bytes(), &archive[..sent], b"\r\n"].concat())
            .await?;
        let answer = String::from_utf8_lossy(&rest(writer).await?).into_owned();
        let said = ["408", "400", "errorDetail"]
            .iter()
            .any(|word| answer.contains(word));
        ensure!(said, "{sent}: {answer:?}");
    }
    house.server.answers().await?;
    house.is_quiet()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_stand_still_make_room_for_others() -> Result<()> {
    let house = House::new(&[]).await?;
    let reference = house.pulled("large", &large()?).await?;
    let mut readers = Vec::new();
    for _ in 0..60 {
        readers.push(house.reader(&format!("/images/{reference}/get")).await?);
    }
    let half = b"POST /images/load HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\nx";
    for _ in 0..60 {
        readers.push(house.connection(half).await?);
    }
    let http = &house.server.http;
    for path in [
        "/images/json".to_owned(),
        format!("/images/{reference}/json"),
    ] {
        within(&path, http.get(&path))
            .await??
            .expect_status(&[200])?;
    }
    let other = house.registry.add("other", "1", &small("other")?);
    within("a pull", house.server.pull(&other)).await??.ok()?;
    house.is_quiet()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_too_much_memory_is_refused_with_the_bound() -> Result<()> {
    let house = House::new(&["--memory-limit", "6MiB"]).await?;
    let reference = house.pulled("small", &small("small")?).await?;
    let heavy = Image::builder(Schema::Oci)
        .layer(Layer::from_text("a", "a", Compression::Plain)?, "COPY a /")
        .labels(json!({ "label": "x".repeat(3 << 20) }))
        .build();
    let heavy = house.registry.add("heavy", "1", &heavy);
    let path = format!("/images/{reference}/json");
    let (pulled, inspected) = tokio::join!(house.server.pull(&heavy), house.server.http.get(&path));
    inspected?.expect_status(&[200])?;
    // The stream had begun, or not; in any case nobody sees how wasm fails.
    let text = pulled
        .map(|pulled| pulled.answer.text())
        .unwrap_or_default();
    ensure!(
        !text.contains("wasm") && !text.contains("unreachable"),
        "{text}"
    );
    let log = house.server.logged("6 MiB of memory").await?;
    ensure!(!log.contains("backtrace"), "{log}");
    // Nothing is locked, and what was there is there.
    let path = format!("/images/{reference}");
    house
        .server
        .http
        .delete(&path)
        .await?
        .expect_status(&[200])?;
    house
        .server
        .http
        .post("/images/prune")
        .await?
        .expect_status(&[200])?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_its_limit_is_413_and_one_that_nobody_reads_is_not_read() -> Result<()> {
    let house = House::new(&[]).await?;
    let body = vec![b' '; 2 << 20];
    let http = &house.server.http;
    let answer = http
        .send(Method::POST, "/containers/create", &[], body.clone())
        .await?;
    let text = answer.text();
    ensure!(
        answer.status == 413 && text.contains("1048576 bytes"),
        "{} {text}",
        answer.status
    );
    let answer = http.send(Method::POST, "/build", &[], body).await?;
    answer.expect_status(&[501])?;
    house.is_quiet()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_stop_says_nothing() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    server
        .http
        .get("/images/json")
        .await?
        .expect_status(&[200])?;
    server
        .http
        .post("/images/prune")
        .await?
        .expect_status(&[200])?;
    let (status, log) = server.stop().await?;
    ensure!(status.success(), "{status}");
    ensure!(log.is_empty(), "{log}");
    Ok(())
}
