//! Nothing is fetched twice: interrupted layers go on where they stopped, and pulls share what they fetch.

use anyhow::{Context, Result, ensure};
use strata_tests::fault::{Fault, FaultRegistry, Gate, Phase, Rule, Seen};
use strata_tests::http::Streaming;
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::Layer;
use strata_tests::poll::within;
use strata_tests::server::Server;
use strata_tests::store;

const LAYER: usize = 16 << 20;
/// Where the tests interrupt: far enough in for several writes to be durable.
const STOP: usize = 12 << 20;

fn big(seed: u64) -> Result<Image> {
    Ok(Image::builder(Schema::Oci)
        .layer(Layer::noise(seed, LAYER)?, "COPY noise /")
        .build())
}

/// The first byte a request asks for; 0 without a `Range`.
fn first_byte(seen: &Seen) -> Result<usize> {
    let Some(range) = seen.header("range") else {
        return Ok(0);
    };
    let first = range
        .strip_prefix("bytes=")
        .and_then(|range| range.split('-').next());
    Ok(first
        .with_context(|| format!("odd Range: {range}"))?
        .parse()?)
}

/// Checks that the layer was asked for again, from a byte in the middle and no further than was sent.
fn went_on(registry: &FaultRegistry, image: &Image) -> Result<()> {
    let fetches = registry.fetches(&image.layers[0].digest);
    let starts = fetches.iter().map(first_byte).collect::<Result<Vec<_>>>()?;
    ensure!(
        starts.len() == 2 && starts[0] == 0,
        "the layer was asked for from {starts:?}"
    );
    ensure!(
        starts[1] > 0 && starts[1] <= STOP,
        "it went on at {} after {STOP}",
        starts[1]
    );
    Ok(())
}

/// Reads a pull's progress until a `Downloading` message says that this much has arrived.
async fn downloaded(stream: &mut Streaming, bytes: usize) -> Result<()> {
    let mut text = String::new();
    let read = async {
        while let Some(piece) = stream.piece().await? {
            text.push_str(&String::from_utf8_lossy(&piece));
            for line in text.lines() {
                let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
                let current = message["progressDetail"]["current"].as_u64().unwrap_or(0);
                if message["status"] == "Downloading" && current >= bytes as u64 {
                    return Ok(());
                }
            }
        }
        anyhow::bail!("the pull ended early: {text}")
    };
    within("the download to get that far", read).await?
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_goes_on_at_its_byte() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let image = big(1)?;
    let reference = registry.add("dropped", "1", &image);
    registry.once(Phase::Layer, Fault::Cut(STOP));
    server.pull(&reference).await?.ok()?;
    went_on(&registry, &image)?;
    store::check(store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_pull_goes_on_at_its_byte() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let image = big(2)?;
    let reference = registry.add("cancelled", "1", &image);
    let gate = Gate::new();
    registry.once(Phase::Layer, Fault::Hold(STOP, gate.clone()));
    let mut stream = server.open_pull(&reference).await?;
    downloaded(&mut stream, STOP).await?;
    drop(stream);
    server.pull(&reference).await?.ok()?;
    went_on(&registry, &image)?;
    store::check(store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_at_its_durable_byte() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let image = big(3)?;
    let reference = registry.add("killed", "1", &image);
    registry.once(Phase::Layer, Fault::Hold(STOP, Gate::new()));
    let mut stream = server.open_pull(&reference).await?;
    downloaded(&mut stream, STOP).await?;
    server.kill().await?;
    store::check(store.path())?;

    let server = Server::start(store.path(), &[]).await?;
    server.pull(&reference).await?.ok()?;
    went_on(&registry, &image)?;
    store::check(store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_server_leaves_what_it_fetched() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let image = big(4)?;
    let reference = registry.add("terminated", "1", &image);
    let gate = Gate::new();
    registry.once(Phase::Layer, Fault::Hold(STOP, gate.clone()));
    let mut stream = server.open_pull(&reference).await?;
    downloaded(&mut stream, STOP).await?;
    // Held at the gate the pull cannot finish: the server must end all the same.
    let status = server.terminate().await?;
    ensure!(status.success(), "SIGTERM ended it with {status}");

    let server = Server::start(store.path(), &[]).await?;
    server.pull(&reference).await?.ok()?;
    went_on(&registry, &image)?;
    store::check(store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_pulls_share_one_download() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let layer = Layer::noise(5, LAYER)?;
    let first = Image::builder(Schema::Oci)
        .layer(layer.clone(), "one")
        .build();
    let second = Image::builder(Schema::Oci)
        .layer(layer.clone(), "two")
        .build();
    let references = [
        registry.add("first", "1", &first),
        registry.add("second", "1", &second),
    ];
    let gate = Gate::new();
    registry.rule(Rule::new(Phase::Layer, Fault::Hold(STOP, gate.clone())));

    let mut streams = Vec::new();
    for (count, reference) in references.iter().enumerate() {
        let mut stream = server.open_pull(reference).await?;
        if count == 0 {
            gate.reached(1).await?;
        }
        // Each sees the bytes arrive: the second has joined, not queued behind a finished one.
        downloaded(&mut stream, 1).await?;
        streams.push(stream);
    }
    gate.open();
    for stream in streams {
        let rest = within("the pull to end", stream.whole()).await??;
        ensure!(
            rest.text().contains("Status: Downloaded newer image"),
            "{}",
            rest.text()
        );
    }
    let fetches = registry.fetches(&layer.digest).len();
    ensure!(fetches == 1, "the shared layer was fetched {fetches} times");
    store::check(store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_sharing_pulls_may_be_cancelled() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let image = big(6)?;
    let reference = registry.add("shared", "1", &image);
    let gate = Gate::new();
    registry.once(Phase::Layer, Fault::Hold(STOP, gate.clone()));
    let mut first = server.open_pull(&reference).await?;
    gate.reached(1).await?;
    downloaded(&mut first, 1).await?;
    let mut second = server.open_pull(&reference).await?;
    downloaded(&mut second, 1).await?;
    drop(first);
    gate.open();
    let rest = within("the second pull to end", second.whole()).await??;
    ensure!(rest.text().contains("Status: "), "{}", rest.text());
    store::check(store.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn content_that_is_here_is_not_fetched_again() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let layer = Layer::noise(7, 100_000)?;
    let first = Image::builder(Schema::Oci)
        .layer(layer.clone(), "one")
        .build();
    let second = Image::builder(Schema::Oci)
        .layer(layer.clone(), "two")
        .build();
    for (name, image) in [("first", &first), ("second", &second)] {
        server.pull(&registry.add(name, "1", image)).await?.ok()?;
    }
    assert_eq!(registry.fetches(&layer.digest).len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_tag_costs_one_head() -> Result<()> {
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let reference = registry.add("unchanged", "1", &small("unchanged")?);
    server.pull(&reference).await?.ok()?;
    registry.forget();
    server.pull(&reference).await?.ok()?;
    let phases: Vec<Phase> = registry.log().iter().map(|seen| seen.phase).collect();
    assert_eq!(phases, [Phase::Head]);
    Ok(())
}
