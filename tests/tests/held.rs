//! What an operation holds of the store is given back when its client leaves in the middle:
//! nothing stays locked, protected or half-written, and nobody restarts the server for it.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use hyper::Method;
use strata_tests::debian::{Content, Entry};
use strata_tests::fault::FaultRegistry;
use strata_tests::image::{Image, Schema};
use strata_tests::layer::{Layer, noise, tar};
use strata_tests::poll::{until, within};
use strata_tests::server::{Server, escape};
use strata_tests::store;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// More than the sockets between client and server take, so that a client that leaves interrupts something.
const LARGE: usize = 24 << 20;

/// A server with an image and a container of it.
struct Bench {
    store: TempDir,
    server: Server,
    _registry: FaultRegistry,
    reference: String,
    /// Blobs when nothing is left over.
    blobs: usize,
}

impl Bench {
    async fn new() -> Result<Self> {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        let registry = FaultRegistry::start().await?;
        let image = Image::builder(Schema::Oci)
            .layer(Layer::noise(1, LARGE)?, "COPY noise /")
            .build();
        let reference = registry.add("held", "1", &image);
        server.pull(&reference).await?.ok()?;
        let mut bench = Self {
            store,
            server,
            _registry: registry,
            reference,
            blobs: 0,
        };
        bench.create().await?;
        bench.blobs = store::blobs(bench.store.path())?.len();
        Ok(bench)
    }

    async fn create(&self) -> Result<()> {
        let body = serde_json::json!({ "Image": self.reference, "Cmd": ["sh"] }).to_string();
        let headers = [("content-type", "application/json")];
        let path = "/containers/create?name=box";
        let created = self.server.http.send(Method::POST, path, &headers, body);
        created.await?.expect_status(&[201])?;
        Ok(())
    }

    async fn delete(&self, path: &str) -> Result<()> {
        let answer = self.server.http.delete(path).await?;
        answer.expect_status(&[200, 204, 404])?;
        Ok(())
    }

    /// Files that are being written.
    fn partial(&self) -> usize {
        let files = std::fs::read_dir(self.store.path().join(".strata/ingest"));
        files.map_or(0, Iterator::count)
    }

    /// Prune answers, and leaves so many blobs and nothing half-written.
    async fn is_free(&self, blobs: usize) -> Result<()> {
        let pruned = self.server.http.post("/images/prune").await?;
        pruned.expect_status(&[200])?;
        let left = store::blobs(self.store.path())?.len();
        let partial = self.partial();
        ensure!(
            (left, partial) == (blobs, 0),
            "{left} blobs instead of {blobs}, {partial} half-written"
        );
        Ok(())
    }

    /// Waits until that is so: what was under way still ends.
    async fn frees(&self, what: &str, blobs: usize) -> Result<()> {
        let mut last = String::new();
        let freed = until(what, async || {
            let free = self.is_free(blobs).await;
            free.map_err(|error| last = format!("{error:#}")).ok()
        });
        freed.await.context(last)
    }

    /// Sends half of an upload, waits until the store writes something, and leaves.
    async fn leave_an_upload(&self, method: &str, path: &str, body: &[u8]) -> Result<()> {
        let address = self.server.host.trim_start_matches("tcp://");
        let mut socket = TcpStream::connect(address).await?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-tar\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await?;
        let half = body.get(..length / 2).unwrap_or_default();
        within("half an upload to be taken", socket.write_all(half)).await??;
        until("something to be written", async || {
            (self.partial() > 0).then_some(())
        })
        .await
    }

    /// Nothing protects the content of images that are removed, and no container is locked.
    async fn empties(&self, what: &str) -> Result<()> {
        until(what, async || {
            for path in [
                "/containers/never?force=1",
                "/containers/box?force=1",
                "/images/made?force=1",
                &format!("/images/{}?force=1", self.reference),
            ] {
                self.delete(path).await.ok()?;
            }
            self.is_free(0).await.is_ok().then_some(())
        })
        .await?;
        self.is_free(0).await
    }
}

fn root() -> Result<Vec<u8>> {
    tar(&[Entry {
        path: "new".to_owned(),
        mode: 0o644,
        content: Content::File(noise(2, LARGE).into()),
    }])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing_behind() -> Result<()> {
    let bench = Bench::new().await?;
    let http = &bench.server.http;
    let import = "/images/create?fromSrc=-&repo=other&tag=1";
    let root = root()?;
    let imported = http.send(Method::POST, import, &[], root.clone());
    imported.await?.expect_status(&[200])?;
    let archive = http.get("/images/other:1/get").await?.body;
    bench.delete("/images/other:1").await?;
    bench.frees("the other image to go", bench.blobs).await?;
    let uploads: [(&str, &str, &[u8]); 3] = [
        ("POST", import, &root),
        ("POST", "/images/load", &archive),
        ("PUT", "/containers/box/archive?path=/", &root),
    ];
    for (method, path, body) in uploads {
        for _ in 0..3 {
            bench.leave_an_upload(method, path, body).await?;
            bench.frees(path, bench.blobs).await?;
        }
        let whole = Bytes::copy_from_slice(body);
        let whole = http.send(Method::from_bytes(method.as_bytes())?, path, &[], whole);
        within(path, whole).await??.expect_status(&[200])?;
        bench.delete("/images/other:1").await?;
        bench.delete("/containers/box?force=1").await?;
        bench.create().await?;
    }
    bench.empties("uploads").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_breaks_off_protects_nothing() -> Result<()> {
    let bench = Bench::new().await?;
    let name = escape(&bench.reference);
    for path in [
        format!("/images/get?names={name}"),
        "/containers/box/export".to_owned(),
        "/containers/box/archive?path=/".to_owned(),
    ] {
        for _ in 0..3 {
            let open = bench
                .server
                .http
                .open(Method::GET, &path, &[], Bytes::new());
            let mut answer = within(&path, open).await??;
            ensure!(answer.status == 200, "{path}: {}", answer.status);
            answer.piece().await?.context(path.clone())?;
        }
    }
    bench.empties("downloads").await
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_whose_clients_are_gone_hold_nothing() -> Result<()> {
    let bench = Bench::new().await?;
    let address = bench.server.host.trim_start_matches("tcp://");
    for _ in 0..10 {
        for path in [
            "/images/prune",
            "/commit?container=box&repo=made",
            "/containers/create?name=never",
        ] {
            let mut socket = TcpStream::connect(address).await?;
            let body = format!(r#"{{"Image":"{}"}}"#, bench.reference);
            let request = format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                 Content-Length: {}\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(request.as_bytes()).await?;
        }
    }
    bench.empties("requests").await
}
