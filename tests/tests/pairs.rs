//! Every pair of routes at once, each on a server that was just started: no request may depend on, wait for or
//! break another, whatever order they reach a cold component in.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hyper::Method;
use std::fs;
use std::path::Path;
use strata_tests::debian::{Content, Entry};
use strata_tests::fault::FaultRegistry;
use strata_tests::http::Http;
use strata_tests::image::small;
use strata_tests::layer::tar;
use strata_tests::poll::within;
use strata_tests::server::{Server, escape, pull_path};

/// Servers at once: one a processor on the smallest machine this is meant for.
const SERVERS: usize = 2;

/// A request that any client may send.
struct Route {
    method: Method,
    path: String,
    body: Bytes,
    json: bool,
}

impl Route {
    fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            body: Bytes::new(),
            json: false,
        }
    }

    fn with(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: body.into(),
            ..self
        }
    }

    fn json(self, body: &str) -> Self {
        Self {
            json: true,
            ..self.with(body.to_owned())
        }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The status, once the whole answer is here.
    async fn ask(&self, http: &Http) -> Result<u16> {
        let json = [("content-type", "application/json")];
        let headers: &[_] = if self.json { &json } else { &[] };
        let asked = http.send(self.method.clone(), &self.path, headers, self.body.clone());
        Ok(within(&self.name(), asked)
            .await?
            .with_context(|| self.name())?
            .status)
    }
}

/// One of each operation, with what makes it work as long as the other does not remove it.
fn routes(pulled: &str, pushed: &str, archive: &Bytes) -> Result<Vec<Route>> {
    let file = tar(&[Entry {
        path: "etc/added".to_owned(),
        mode: 0o644,
        content: Content::File("text".into()),
    }])?;
    let filters = escape(r#"{"label":["a"],"reference":["*"]}"#);
    let get = |path: &str| Route::new(Method::GET, path);
    let post = |path: &str| Route::new(Method::POST, path);
    Ok(vec![
        get("/_ping"),
        get("/version"),
        get("/info"),
        get("/images/json?all=1&shared-size=1"),
        get(&format!("/images/json?filters={filters}")),
        get("/images/one:1/json"),
        get("/images/one:1/history"),
        get("/images/get?names=one:1&names=two:1"),
        post("/images/one:1/tag?repo=three&tag=1"),
        post("/images/prune"),
        post("/images/load").with(archive.clone()),
        post("/images/create?fromSrc=-&repo=imported&tag=1").with(file.clone()),
        post(&pull_path(pulled)),
        post(&format!("/images/{pushed}/push?tag=1")),
        Route::new(Method::DELETE, "/images/two:1"),
        get("/containers/json?all=1"),
        get("/containers/json?all=1&size=1"),
        post("/containers/create").json(r#"{"Image":"one:1","Cmd":["x"]}"#),
        get("/containers/box/json?size=1"),
        get("/containers/box/changes"),
        get("/containers/box/export"),
        get("/containers/box/archive?path=/etc"),
        Route::new(Method::HEAD, "/containers/box/archive?path=/etc"),
        Route::new(Method::PUT, "/containers/box/archive?path=/").with(file.clone()),
        Route::new(Method::PUT, "/containers/jar/archive?path=/").with(file),
        post("/commit?container=box&repo=committed&changes=ENV+a=b"),
        post("/containers/prune"),
        Route::new(Method::DELETE, "/containers/jar"),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_pair_of_routes_gets_its_answers_from_a_cold_server() -> Result<()> {
    let registry = FaultRegistry::start().await?;
    let pulled = registry.add("pulled", "1", &small("pulled")?);
    let pushed = registry.url().replacen("http://", "", 1) + "/pushed";
    let store = tempfile::tempdir()?;
    let archive = prepare(store.path(), &registry, &pushed).await?;
    let routes = routes(&pulled, &pushed, &archive)?;
    let pairs = (0..routes.len()).flat_map(|one| (one..routes.len()).map(move |two| (one, two)));
    let pairs = pairs.map(|(one, two)| {
        let (one, two) = (&routes[one], &routes[two]);
        let store = store.path();
        async move {
            at_once(store, one, two)
                .await
                .with_context(|| format!("{} beside {}", one.name(), two.name()))
        }
    });
    stream::iter(pairs)
        .buffer_unordered(SERVERS)
        .try_collect()
        .await
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
        Route::new(Method::POST, format!("/containers/create?name={name}"))
            .json(r#"{"Image":"one:1","Cmd":["x"]}"#)
            .ask(&server.http)
            .await?;
    }
    let archive = server.http.get("/images/get?names=two:1").await?.body;
    server.terminate().await?;
    Ok(archive)
}

/// Asks for both at once, on a fresh server over a copy of the store.
async fn at_once(prepared: &Path, one: &Route, two: &Route) -> Result<()> {
    let store = tempfile::tempdir()?;
    copy(prepared, store.path())?;
    let server = Server::start(store.path(), &[]).await?;
    let (first, second) = tokio::join!(one.ask(&server.http), two.ask(&server.http));
    for (route, status) in [(one, first?), (two, second?)] {
        // One may have removed what the other is about, or may be changing it.
        let well = status < 400 || status == 404 || status == 409;
        ensure!(well, "{}: {status}\n{}", route.name(), server.log()?);
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
