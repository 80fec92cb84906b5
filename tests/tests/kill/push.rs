//! SIGKILL while a push goes to a real registry: its tag has all of the image or does not exist, and the push that
//! follows succeeds.

use super::{Doing, SEED};
use anyhow::{Context, Result, ensure};
use hyper::Method;
use std::path::Path;
use strata_tests::dice::Dice;
use strata_tests::fault::FaultRegistry;
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Layer;
use strata_tests::push;
use strata_tests::registry::Registry;
use strata_tests::server::{Server, escape};
use strata_tests::store;

const ROUNDS: u64 = 12;
/// More than goes in one request, so that kills come between chunks, too.
const LARGE: usize = 20 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_push_leaves_no_half_tag_and_the_next_one_succeeds() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let image = Image::builder(Schema::Oci)
        .layer(Layer::noise(1, LARGE)?, "large")
        .layer(Layer::noise(2, 1 << 20)?, "small")
        .build();
    let origin = FaultRegistry::start().await?;
    let source = origin.add("kill/push", "1", &image);
    let server = Server::start(folder.path(), &[]).await?;
    server.pull(&source).await?.ok()?;
    let blobs = store::blobs(folder.path())?;
    let mut longest = round(folder.path(), server, &source, &image, None).await?.0;
    let mut dice = Dice::new(SEED + 2);
    let mut interrupted = 0;
    for number in 0..ROUNDS {
        let moment = dice.below(longest);
        let what = || {
            format!(
                "round {number} of seed {}, killed after {moment} µs",
                SEED + 2
            )
        };
        let server = Server::start(folder.path(), &[]).await?;
        let (took, met) = round(folder.path(), server, &source, &image, Some(moment))
            .await
            .with_context(what)?;
        // Of two pushes the slower one, so that late moments are tried on a busy machine as well.
        longest = longest.max(took);
        interrupted += u64::from(met);
        store::settles(folder.path()).await.with_context(what)?;
        let now = store::blobs(folder.path())?;
        ensure!(now == blobs, "{}: the store changed: {now:?}", what());
    }
    ensure!(
        interrupted >= ROUNDS / 4,
        "only {interrupted} of {ROUNDS} kills met a running push"
    );
    super::prune_gives_all_back(folder.path()).await
}

/// Pushes to a new registry, killed after so many microseconds if given, then to the end. How long that took, and
/// whether the kill met it.
async fn round(
    folder: &Path,
    server: Server,
    source: &str,
    image: &Image,
    kill: Option<u64>,
) -> Result<(u64, bool)> {
    // New, so that nothing is there that would not be sent, or could be mounted.
    let registry = Registry::start().await?;
    let name = format!("{}/killed/push", registry.host);
    let tag = format!("/images/{source}/tag?repo={}&tag=1", escape(&name));
    server.http.post(&tag).await?.expect_status(&[201])?;
    let target = format!("{name}:1");
    let doing = Doing::post(&push::path(&target), "{}");
    let (mut server, mut met) = (server, false);
    if let Some(moment) = kill {
        met = doing.cut_short(server, moment).await?;
        is_whole_or_nothing(&registry, image).await?;
        store::check_with_skopeo(folder).await?;
        server = Server::start(folder, &[]).await?;
    }
    let took = doing.whole(&server).await?;
    ensure!(
        is_whole_or_nothing(&registry, image).await?,
        "the tag is not there after a push that succeeded"
    );
    let gone = server.http.delete(&format!("/images/{target}")).await?;
    gone.expect_status(&[200])?;
    server.terminate().await?;
    Ok((took, met))
}

/// Whether the tag is there; then all of the image must be.
async fn is_whole_or_nothing(registry: &Registry, image: &Image) -> Result<bool> {
    let get = async |kind: &str, name: &str| {
        let path = format!("/v2/killed/push/{kind}/{name}");
        let headers = [("accept", image.root.media_type.as_str())];
        let http = &registry.http;
        http.send(Method::GET, &path, &headers, "").await
    };
    let tagged = get("manifests", "1").await?;
    if tagged.status == 404 {
        return Ok(false);
    }
    let tagged = tagged.expect_status(&[200])?;
    ensure!(tagged.body == image.root.bytes, "another manifest");
    for blob in image.layers.iter().chain(&image.configs) {
        let there = get("blobs", &blob.digest).await?.expect_status(&[200]);
        let there = there.context("the tag is there, a blob is not")?;
        ensure!(there.body == blob.bytes, "{} has other bytes", blob.digest);
    }
    Ok(true)
}
