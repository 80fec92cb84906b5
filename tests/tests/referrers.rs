//! Signatures and other referrers go where their image goes: to a registry that keeps no list of them, and
//! through an archive.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use strata_tests::client::skopeo;
use strata_tests::house::{House, package_image};
use strata_tests::image::{Image, Schema};
use strata_tests::layer::Compression;
use strata_tests::registry::Registry;
use strata_tests::server::Server;
use strata_tests::store;

const SIGNATURE: &str = "application/vnd.example.signature";
const BILL: &str = "application/vnd.example.sbom";

/// An image, and something about it under a tag of its own.
async fn signed(house: &House) -> Result<(String, Image, Image)> {
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let signature = image.referrer(SIGNATURE, "signed by ann");
    let reference = house.pulled("some/app", "1", &image).await?;
    house.pulled("some/app", "signature", &signature).await?;
    Ok((reference, image, signature))
}

/// What the registry lists under the tag made from an image's digest.
async fn listed(registry: &Registry, repository: &str, image: &Image) -> Result<Vec<Value>> {
    let tag = image.digest().replace(':', "-");
    let reference = format!("docker://{}/{repository}:{tag}", registry.host);
    let raw = skopeo(&["inspect", "--raw", "--tls-verify=false", &reference]).await?;
    let index: Value = serde_json::from_str(&raw.ok()?)?;
    ensure!(index["mediaType"] == Schema::Oci.index(), "{index}");
    Ok(index["manifests"].as_array().cloned().unwrap_or_default())
}

/// The entry of a referrer in such a list.
fn entry(referrer: &Image, artifact_type: &str) -> Value {
    let mut entry = referrer.root.descriptor();
    entry["artifactType"] = json!(artifact_type);
    entry
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_is_pushed_with_its_image_and_listed() -> Result<()> {
    let house = House::new().await?;
    let (reference, image, signature) = signed(&house).await?;
    let elsewhere = Registry::start().await?;
    let target = format!("{}/other/app:2", elsewhere.host);
    house.ok(&["tag", &reference, &target]).await?;
    house.ok(&["push", &target]).await?;
    let first = entry(&signature, SIGNATURE);
    let once = listed(&elsewhere, "other/app", &image).await?;
    ensure!(once.len() == 1 && once.first() == Some(&first));
    for blob in signature.contents() {
        let kind = match blob.digest == signature.digest() {
            true => "manifests",
            false => "blobs",
        };
        let path = format!("/v2/other/app/{kind}/{}", blob.digest);
        let accept = [("accept", blob.media_type.as_str())];
        let answer = elsewhere.http.send(hyper::Method::GET, &path, &accept, "");
        ensure!(answer.await?.body == blob.bytes, "{path}");
    }

    // One that comes later goes with the next push, though the tag is there.
    let bill = image.referrer(BILL, "base-files, hostname");
    house.pulled("some/app", "bill", &bill).await?;
    house.ok(&["push", &target]).await?;
    let both = [first, entry(&bill, BILL)];
    ensure!(listed(&elsewhere, "other/app", &image).await? == both);
    house.ok(&["push", &target]).await?;
    ensure!(listed(&elsewhere, "other/app", &image).await? == both);
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_goes_through_an_archive_and_stays_as_long_as_its_image() -> Result<()> {
    let mut house = House::new().await?;
    let (reference, image, signature) = signed(&house).await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    house
        .ok(&["save", "--output", &path("a.tar"), &reference])
        .await?;
    for archive in [
        format!("oci-archive:{}:1", path("a.tar")),
        format!("docker-archive:{}:{reference}", path("a.tar")),
    ] {
        skopeo(&["inspect", &archive]).await?.ok()?;
    }

    house
        .ok(&["rmi", &reference, &reference.replace(":1", ":signature")])
        .await?;
    ensure!(store::blobs(house.store.path())?.is_empty());
    let printed = house.ok(&["load", "--input", &path("a.tar")]).await?;
    ensure!(
        printed.trim() == format!("Loaded image: {reference}"),
        "{printed}"
    );
    ensure!(house.images(&["--all"]).await? == [reference.as_str()]);

    // It is no image, so nothing shows it; but it is there, also for another process and after a prune.
    house.server.kill().await?;
    house.server = Server::start(house.store.path(), &[]).await?;
    house.docker = strata_tests::client::Docker::new(&house.server.host)?;
    house.ok(&["image", "prune", "--force"]).await?;
    house
        .ok(&["save", "--output", &path("b.tar"), &reference])
        .await?;
    ensure!(
        std::fs::read(path("a.tar"))? == std::fs::read(path("b.tar"))?,
        "the second archive differs"
    );
    let elsewhere = Registry::start().await?;
    let target = format!("{}/from/archive:1", elsewhere.host);
    house.ok(&["tag", &reference, &target]).await?;
    house.ok(&["push", &target]).await?;
    let expected = [entry(&signature, SIGNATURE)];
    ensure!(listed(&elsewhere, "from/archive", &image).await? == expected);

    house.ok(&["rmi", &target]).await?;
    ensure!(store::blobs(house.store.path())?.contains(&signature.digest().to_owned()));
    house.ok(&["rmi", &reference]).await?;
    let left = store::blobs(house.store.path())?;
    ensure!(left.is_empty(), "{left:?}");
    store::settles(house.store.path()).await
}
