//! Importing what a URL answers with: honest servers, broken ones, and redirects that must not be followed.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use strata_tests::client::Docker;
use strata_tests::debian;
use strata_tests::fault::{Fault, FaultRegistry, Gate, Phase, Rule};
use strata_tests::http::Answer;
use strata_tests::layer::{sha256, tar};
use strata_tests::raw::Raw;
use strata_tests::server::{Server, escape};
use strata_tests::store;
use tempfile::TempDir;

/// A strata server on an empty store, and a web server with a root file system at [`Web::url`].
struct Web {
    server: Server,
    store: TempDir,
    origin: FaultRegistry,
    root: Vec<u8>,
}

impl Web {
    async fn new(args: &[&str]) -> Result<Self> {
        let store = tempfile::tempdir()?;
        let root = tar(&debian::package("base-files")?)?;
        let origin = FaultRegistry::start().await?;
        origin.add_blob("root.tar", root.clone());
        Ok(Self {
            server: Server::start(store.path(), args).await?,
            store,
            origin,
            root,
        })
    }

    /// Where the root file system is. The fault registry serves any file as a blob.
    fn url(&self) -> String {
        format!("{}/v2/files/blobs/root.tar", self.origin.url())
    }

    /// Imports what a URL answers with, as `web:1`.
    async fn import(&self, url: &str) -> Result<Answer> {
        let answer = self.server.http.post(&path(url)).await;
        answer.with_context(|| url.to_owned())
    }

    /// The error of an import, by status or in the stream, and the status.
    async fn refused(&self, url: &str) -> Result<(u16, String)> {
        let answer = self.import(url).await?;
        let last = messages(&answer).pop().unwrap_or_default();
        let text = match answer.status {
            200 => &last["errorDetail"]["message"],
            _ => &last["message"],
        };
        let text = text.as_str();
        let text = text.with_context(|| format!("no error in: {}", answer.text()))?;
        Ok((answer.status, text.to_owned()))
    }

    /// Nothing is listed, and after a prune nothing is there.
    async fn is_empty(&self) -> Result<()> {
        let listed = self.server.http.get("/images/json?all=1").await?.json()?;
        ensure!(listed == Value::Array(Vec::new()), "{listed}");
        self.server.http.post("/images/prune").await?;
        let left = store::blobs(self.store.path())?;
        ensure!(left.is_empty(), "{left:?}");
        self.server.answers().await
    }

    /// The import of a URL succeeds and gives the root file system.
    async fn succeeds(&self, url: &str) -> Result<()> {
        let answer = self.import(url).await?.expect_status(&[200])?;
        let messages = messages(&answer);
        let last = messages.last().context("no messages")?;
        let id = last["status"].as_str().unwrap_or_default();
        ensure!(id.starts_with("sha256:"), "{url}: {}", answer.text());
        let image = self.server.http.get("/images/web:1/json").await?.json()?;
        ensure!(image["Id"] == id, "{url}: {image}");
        let layer = &image["RootFS"]["Layers"][0];
        ensure!(layer == &sha256(&self.root), "{url}: {image}");
        Ok(())
    }
}

/// The request for an import from a URL.
fn path(url: &str) -> String {
    format!("/images/create?fromSrc={}&repo=web&tag=1", escape(url))
}

/// The messages of a stream, or the one document of an error.
fn messages(answer: &Answer) -> Vec<Value> {
    let stream = serde_json::Deserializer::from_slice(&answer.body).into_iter();
    stream.map_while(Result::ok).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_imported_and_named() -> Result<()> {
    let web = Web::new(&[]).await?;
    let url = web.url();
    let docker = Docker::new(&web.server.host)?;
    let printed = docker.run(&["import", &url, "named:2"]).await?.ok()?;
    let first = printed.lines().next().unwrap_or_default();
    ensure!(first == format!("Downloading from {url}"), "{printed}");
    let format = ["image", "inspect", "--format", "{{.Id}}", "named:2"];
    let id = docker.run(&format).await?.ok()?;
    ensure!(printed.ends_with(&id), "{printed}");
    let comment = [
        "history",
        "--format",
        "{{.Comment}}",
        "--no-trunc",
        "named:2",
    ];
    let comment = docker.run(&comment).await?.ok()?;
    ensure!(comment == format!("Imported from {url}"), "{comment}");

    let answer = web.import(&url).await?;
    let messages = messages(&answer);
    let importing = |message: &&Value| message["status"] == "Importing";
    let progress = messages.iter().find(importing).context(answer.text())?;
    let total = &progress["progressDetail"]["total"];
    ensure!(total == web.root.len(), "{progress}");
    // Without a scheme it is HTTP.
    web.succeeds(url.trim_start_matches("http://")).await?;
    for seen in web.origin.log() {
        ensure!(seen.header("authorization").is_none(), "{seen:?}");
        ensure!(seen.header("cookie").is_none(), "{seen:?}");
    }
    store::settles(web.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_keep_their_class_and_their_text() -> Result<()> {
    let web = Web::new(&[]).await?;
    let url = web.url();
    for (status, expected) in [
        (400, &[400][..]),
        (401, &[401]),
        (403, &[403]),
        (404, &[404]),
        (500, &[500, 503]),
        (503, &[500, 503]),
    ] {
        let body = format!("words about {status}");
        web.origin.behave();
        web.origin.always(
            Phase::Layer,
            Fault::Status(status, Vec::new(), body.clone()),
        );
        let (answered, text) = web.refused(&url).await?;
        ensure!(expected.contains(&answered), "{status}: {answered} {text}");
        let start = format!("failed to GET {url} with status {status}");
        ensure!(text.contains(&start), "{status}: {text}");
        ensure!(text.contains(&body), "{status}: {text}");
    }
    web.is_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn broken_answers_import_nothing() -> Result<()> {
    let web = Web::new(&[]).await?;
    let whole = web.root.len();
    let tar = i64::try_from(whole)?;
    for (what, fault) in [
        ("no answer", Fault::HangUp),
        ("cut before the body", Fault::Cut(0)),
        ("cut in the first block", Fault::Cut(100)),
        ("cut in the middle", Fault::Cut(whole / 2)),
        ("cut before the last byte", Fault::Cut(whole - 1)),
        ("a length too large", Fault::LyingLength(1)),
        ("a length far too large", Fault::LyingLength(tar)),
        ("a length too small", Fault::LyingLength(-tar / 2 - 1)),
        ("less than a tar", Fault::Short(whole / 2 + 1)),
    ] {
        web.origin.behave();
        web.origin.always(Phase::Layer, fault);
        let (status, text) = web.refused(&web.url()).await.context(what)?;
        ensure!(status == 200 || status >= 400, "{what}: {status} {text}");
        ensure!(!text.is_empty(), "{what}");
        web.is_empty().await.context(what)?;
    }
    web.origin.behave();
    web.origin.always(Phase::Layer, Fault::Chunked);
    web.succeeds(&web.url()).await?;
    web.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_leaves_nothing_behind() -> Result<()> {
    let web = Web::new(&[]).await?;
    let gate = Gate::new();
    let held = Fault::Hold(web.root.len() / 2, gate.clone());
    web.origin.once(Phase::Layer, held);
    let path = path(&web.url());
    let mut client = Raw::abrupt(&web.server.host).await?;
    let request = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    client.send(request).await?;
    gate.reached(1).await?;
    drop(client);
    gate.left(1).await?;
    web.is_empty().await?;
    gate.open();
    web.succeeds(&web.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_within_one_server_are_followed() -> Result<()> {
    let web = Web::new(&[]).await?;
    let start = format!("{}/v2/start/blobs/root.tar", web.origin.url());
    for status in [301, 302, 303, 307, 308] {
        for location in [web.url(), "/v2/files/blobs/root.tar".to_owned()] {
            web.origin.behave();
            let redirect = Fault::Redirect(status, location);
            web.origin
                .rule(Rule::new(Phase::Layer, redirect).about("start"));
            web.succeeds(&start)
                .await
                .with_context(|| status.to_string())?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_private_places_and_other_schemes_are_refused() -> Result<()> {
    let web = Web::new(&[]).await?;
    let start = format!("{}/v2/start/blobs/root.tar", web.origin.url());
    let (port, address) = (
        FaultRegistry::start().await?,
        FaultRegistry::start_at("127.0.0.2").await?,
    );
    let others = [&port, &address];
    for other in others {
        other.add_blob("root.tar", web.root.clone());
    }
    let file = "/v2/files/blobs/root.tar?signature=hidden-word";
    let (_, number) = port.host.rsplit_once(':').context("no port")?;
    for location in [
        format!("{}{file}", port.url()),
        format!("{}{file}", address.url()),
        format!("http://localhost:{number}{file}"),
        format!("http://[::ffff:127.0.0.1]:{number}{file}"),
        format!("http://2130706433:{number}{file}"),
        format!("https://{}{file}", port.host),
        "http://169.254.169.254/latest/meta-data?signature=hidden-word".to_owned(),
        "http://10.0.0.1/root.tar".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://127.0.0.1/root.tar".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ] {
        web.origin.behave();
        let redirect = Fault::Redirect(302, location.clone());
        web.origin
            .rule(Rule::new(Phase::Layer, redirect).about("start"));
        let (status, text) = web.refused(&start).await?;
        ensure!([400, 403].contains(&status), "{location}: {status} {text}");
        // A name is looked up before it is refused, so the refusal is the connection's.
        let named = ["redirect", "not public", "prohibited", "not allowed"];
        let named = named.iter().any(|words| text.contains(words));
        ensure!(named, "{location}: {text}");
        ensure!(!text.contains("hidden-word"), "{location}: {text}");
    }
    for other in others {
        ensure!(other.log().is_empty(), "{:?}", other.log());
    }
    ensure!(!web.server.log()?.contains("hidden-word"));
    web.is_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_to_private_places_can_be_allowed() -> Result<()> {
    let web = Web::new(&["--allow-unsafe-redirects"]).await?;
    let start = format!("{}/v2/start/blobs/root.tar", web.origin.url());
    let other = FaultRegistry::start_at("127.0.0.2").await?;
    other.add_blob("root.tar", web.root.clone());
    let location = format!("{}/v2/files/blobs/root.tar", other.url());
    let redirect = Fault::Redirect(302, location);
    web.origin
        .rule(Rule::new(Phase::Layer, redirect).about("start"));
    web.succeeds(&start).await?;
    ensure!(other.log().len() == 1, "{:?}", other.log());

    // That is about where, not about what: files are never read.
    web.origin.behave();
    let redirect = Fault::Redirect(302, "file:///etc/passwd".to_owned());
    web.origin
        .rule(Rule::new(Phase::Layer, redirect).about("start"));
    let (status, text) = web.refused(&start).await?;
    ensure!([400, 403].contains(&status), "{status} {text}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_end() -> Result<()> {
    let web = Web::new(&[]).await?;
    for (what, fault) in [
        ("a loop", Fault::RedirectToSelf),
        ("no location", Fault::status(302)),
        ("an empty location", Fault::Redirect(302, String::new())),
    ] {
        web.origin.behave();
        web.origin.forget();
        web.origin.always(Phase::Layer, fault);
        let (_, text) = web.refused(&web.url()).await.context(what)?;
        let text = text.to_lowercase();
        let named = ["redirect", "location", "302"];
        let named = named.iter().any(|word| text.contains(word));
        ensure!(named, "{what}: {text}");
        let requests = web.origin.log().len();
        ensure!(requests <= 21, "{what}: {requests} requests");
    }
    web.is_empty().await
}

#[tokio::test(flavor = "multi_thread")]
async fn only_http_urls_without_credentials_are_asked() -> Result<()> {
    let web = Web::new(&[]).await?;
    let with_password = web.url().replacen("http://", "http://ann:hidden-word@", 1);
    for url in [
        "file:///etc/passwd",
        "ftp://127.0.0.1/root.tar",
        "unix:///run/docker.sock",
        "http://",
        "http:///root.tar",
        &with_password,
    ] {
        let (status, text) = web.refused(url).await?;
        ensure!(status == 400, "{url}: {status} {text}");
        ensure!(!text.contains("hidden-word"), "{url}: {text}");
    }
    ensure!(web.origin.log().is_empty(), "{:?}", web.origin.log());
    // One that nobody answers at.
    let (status, text) = web.refused("http://127.0.0.1:1/root.tar").await?;
    ensure!(status >= 500, "{status} {text}");
    ensure!(text.contains("127.0.0.1:1"), "{text}");
    ensure!(!web.server.log()?.contains("hidden-word"));
    web.is_empty().await
}
