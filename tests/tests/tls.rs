//! Registries behind TLS: with a private authority, and without one.

use anyhow::{Result, ensure};
use strata_tests::authority::Authority;
use strata_tests::client::strata;
use strata_tests::image::small;
use strata_tests::registry::Registry;
use strata_tests::store;

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_is_trusted_when_it_is_named() -> Result<()> {
    let registry = Registry::start().await?;
    registry.push("secured", "1", &small("secured")?).await?;
    let authority = Authority::new()?;
    let (certificate, key) = authority.server();
    let secured = registry.behind_tls(&certificate, &key).await?;
    let reference = format!("{}/secured:1", secured.host);

    let folder = tempfile::tempdir()?;
    let store = folder.path().display().to_string();
    let refused = strata(&["pull", "--store", &store, &reference])
        .await?
        .failed()?;
    ensure!(
        refused.contains("certificate") && refused.contains("--ca"),
        "the error does not say what to do: {refused}"
    );

    let ca = authority.certificate().display().to_string();
    strata(&["pull", "--store", &store, "--ca", &ca, &reference])
        .await?
        .ok()?;
    ensure!(store::names(folder.path())? == [reference]);
    store::check(folder.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_registries_are_reached() -> Result<()> {
    let registry = Registry::start().await?;
    let reference = registry.push("allowed", "1", &small("allowed")?).await?;
    let folder = tempfile::tempdir()?;
    let store = folder.path().display().to_string();
    let elsewhere = ["--allow-registry", "registry.example"];
    let refused = strata(&[&["pull", "--store", &store, &reference][..], &elsewhere].concat())
        .await?
        .failed()?;
    ensure!(refused.contains("--allow-registry"), "{refused}");
    let here = ["--allow-registry", &registry.host];
    strata(&[&["pull", "--store", &store, &reference][..], &here].concat())
        .await?
        .ok()?;
    store::check(folder.path())
}
