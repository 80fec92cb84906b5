//! Addresses that registries and manifests choose, and answers in a shape that few expect.

use anyhow::{Result, ensure};
use serde_json::json;
use strata_tests::client::strata;
use strata_tests::fault::{Access, Fault, FaultRegistry, Phase, Rule};
use strata_tests::image::{Blob, Image, Schema, small};
use strata_tests::server::Server;
use strata_tests::store;

const FOREIGN: &str = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/// The image with its layer elsewhere.
fn with_address(mut image: Image, url: &str) -> Result<Image> {
    let mut manifest: serde_json::Value = serde_json::from_slice(&image.root.bytes)?;
    manifest["layers"][0]["mediaType"] = json!(FOREIGN);
    manifest["layers"][0]["urls"] = json!([url]);
    image.root = Blob::document(&image.root.media_type, &manifest);
    Ok(image)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_in_a_manifest_is_not_asked_where_it_is_private() -> Result<()> {
    for (options, asked) in [(&[][..], false), (&["--allow-unsafe-redirects"], true)] {
        let folder = tempfile::tempdir()?;
        let server = Server::start(folder.path(), options).await?;
        let registry = FaultRegistry::start().await?;
        // The manifest's author need not be who runs the registry, wherever that is.
        let other = FaultRegistry::start_at("127.0.0.2").await?;
        let image = with_address(small("elsewhere")?, &format!("{}/layer", other.url()))?;
        let reference = registry.add("foreign", "1", &image);
        server.pull(&reference).await?.ok()?;
        ensure!(other.log().is_empty() != asked, "{:?}", other.log());
        let layer = &image.layers[0].digest;
        ensure!(!registry.fetches(layer).is_empty(), "asked the registry");
        store::check(folder.path())?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_registry_of_this_machine_names_may_be_on_this_machine() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let other = FaultRegistry::start_at("127.0.0.2").await?;
    let image = small("next door")?;
    let layer = &image.layers[0];
    let reference = registry.add("near", "1", &image);
    other.add_blob(&layer.digest, layer.bytes.clone());
    registry.protect(Access::Basic("ann".to_owned(), "horse".to_owned()));
    // As some storage writes it.
    let signed = format!(
        "{}/v2/near/blobs/{}?sig=\"<a b>\"",
        other.url(),
        layer.digest
    );
    registry.rule(Rule::new(Phase::Layer, Fault::Redirect(307, signed)));
    let many: String = (0..300).map(|it| format!("{it}\r\nX-Many: ")).collect();
    other.always(Phase::Layer, Fault::With("X-Many", many));
    let auth = "eyJ1c2VybmFtZSI6ImFubiIsInBhc3N3b3JkIjoiaG9yc2UifQ==";
    server
        .pull_with(&reference, &[("x-registry-auth", auth)])
        .await?
        .ok()?;
    let seen = other.log();
    ensure!(seen.len() == 1, "{seen:?}");
    ensure!(
        seen[0].query == "sig=%22%3Ca%20b%3E%22",
        "{:?}",
        seen[0].query
    );
    ensure!(seen[0].header("authorization").is_none(), "{:?}", seen[0]);
    ensure!(seen[0].header("strata-reach").is_none(), "{:?}", seen[0]);
    store::check(folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typo_behind_a_mirror_is_told_as_the_mirror_tells_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mirror = FaultRegistry::start().await?;
    // Nobody listens there, as nobody is reached from behind a mirror.
    let mirrors = format!("127.0.0.1:1={}", mirror.url());
    let store = folder.path().display().to_string();
    let error = strata(&[
        "pull",
        "127.0.0.1:1/alpin",
        "--mirror",
        &mirrors,
        "--store",
        &store,
    ])
    .await?
    .failed()?;
    let words = format!(
        "not found at {}, and 127.0.0.1:1 cannot be asked",
        mirror.host
    );
    ensure!(error.contains(&words), "{error}");
    ensure!(error.lines().count() == 1, "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_registry_decide_no_status() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = Server::start(folder.path(), &[]).await?;
    let registry = FaultRegistry::start().await?;
    let reference = registry.add("guarded", "1", &small("guarded")?);
    for phase in [Phase::Head, Phase::Manifest] {
        let words = "go away: no basic auth credentials";
        registry.always(phase, Fault::error(401, "UNAUTHORIZED", words));
    }
    let pulled = server.pull(&reference).await?;
    ensure!(pulled.answer.status == 401, "{}", pulled.answer.status);
    registry.behave();
    registry.protect(Access::Basic("ann".to_owned(), "horse".to_owned()));
    let pulled = server.pull(&reference).await?;
    ensure!(pulled.answer.status == 500, "as dockerd says it");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_moves_whole_if_all_platforms_are_asked_for() -> Result<()> {
    let registry = FaultRegistry::start().await?;
    let image = |platform: &str| -> Result<Image> {
        let layer = strata_tests::layer::Layer::from_text(
            "etc/platform",
            platform,
            strata_tests::layer::Compression::Gzip,
        )?;
        let builder = Image::builder(Schema::Oci).platform(platform);
        Ok(builder.layer(layer, "COPY platform /etc").build())
    };
    let (amd64, arm64) = (image("linux/amd64")?, image("linux/arm64")?);
    let index = Image::index(Schema::Oci)
        .image(&amd64, Some("linux/amd64"))
        .image(&arm64, Some("linux/arm64"))
        .attestation(&amd64)
        .build();
    let reference = registry.add("many", "1", &index);
    let target = format!("{}/moved:1", registry.host);
    for (options, whole) in [
        (&["--platform", "linux/arm64"][..], false),
        (&["--all-platforms"], true),
    ] {
        let folder = tempfile::tempdir()?;
        let store = folder.path().display().to_string();
        strata(&[&["pull", "-q", &reference, "--store", &store], options].concat())
            .await?
            .ok()?;
        strata(&["tag", &reference, &target, "--store", &store])
            .await?
            .ok()?;
        let pushed = strata(&["push", "-q", &target, "--store", &store]).await?;
        let said = pushed.stderr.contains("Not all platforms are here");
        ensure!(said != whole, "{}", pushed.stderr);
        pushed.ok()?;
        let expected = if whole {
            index.digest()
        } else {
            arm64.digest()
        };
        ensure!(registry.tagged("moved", "1")?.as_deref() == Some(expected));
    }
    let folder = tempfile::tempdir()?;
    let store = folder.path().display().to_string();
    let two = ["--platform", "linux/amd64", "--platform", "linux/arm64"];
    strata(&[&["pull", &reference, "--store", &store], &two[..]].concat())
        .await?
        .ok()?;
    let blobs = store::blobs(folder.path())?.join(" ");
    for layer in amd64.layers.iter().chain(&arm64.layers) {
        let (_, hex) = layer.digest.split_once(':').unwrap_or_default();
        ensure!(blobs.contains(hex), "{hex} of {blobs}");
    }
    Ok(())
}
