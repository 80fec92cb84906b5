//! The unmodified docker CLI pushes, saves and loads through `strata serve`; digests prove the round trips.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use strata_tests::client::skopeo;
use strata_tests::house::{House, package_image};
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::{Compression, Layer};
use strata_tests::registry::Registry;
use strata_tests::store;

/// The ID docker shows for an image.
async fn id(house: &House, name: &str) -> Result<String> {
    let inspected = house
        .ok(&["image", "inspect", "--format", "{{.Id}}", name])
        .await?;
    Ok(inspected.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_elsewhere_is_what_was_pulled() -> Result<()> {
    let house = House::new().await?;
    let elsewhere = Registry::start().await?;
    // More than one chunk, so that the upload goes in parts.
    const LAYER: usize = 20 << 20;
    let image = Image::builder(Schema::Oci)
        .layer(
            Layer::from_package("base-files", Compression::Gzip)?,
            "COPY base-files /",
        )
        .layer(Layer::noise(11, LAYER)?, "COPY noise /")
        .build();
    let reference = house.pulled("round/trip", "1", &image).await?;
    let target = format!("{}/other/place:2", elsewhere.host);
    house.ok(&["tag", &reference, &target]).await?;
    let printed = house.ok(&["push", &target]).await?;
    ensure!(
        printed.contains(&format!("2: digest: {} size: ", image.digest())),
        "{printed}"
    );
    let again = house.ok(&["push", &target]).await?;
    ensure!(!again.contains("Pushed"), "{again}");

    house.ok(&["rmi", &reference, &target]).await?;
    ensure!(store::blobs(house.store.path())?.is_empty());
    house.ok(&["pull", &target]).await?;
    ensure!(id(&house, &target).await? == image.digest());
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_of_nothing_or_to_nobody_says_so() -> Result<()> {
    let house = House::new().await?;
    let nothing = house.failed(&["push", "127.0.0.1:1/nosuch:1"]).await?;
    ensure!(
        nothing.contains("tag does not exist: 127.0.0.1:1/nosuch:1"),
        "{nothing}"
    );
    let reference = house.pulled("to/nobody", "1", &small("nobody")?).await?;
    house
        .ok(&["tag", &reference, "127.0.0.1:1/nobody:1"])
        .await?;
    let nobody = house.failed(&["push", "127.0.0.1:1/nobody:1"]).await?;
    ensure!(nobody.contains("connection refused"), "{nobody}");
    house.server.answers().await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_loads_and_saves_to_the_same_bytes() -> Result<()> {
    let house = House::new().await?;
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).display().to_string();
    let first = package_image(Schema::Oci, Compression::Gzip)?;
    let second = package_image(Schema::Docker, Compression::Gzip)?;
    let one = house.pulled("saved/one", "1", &first).await?;
    let two = house.pulled("saved/two", "2", &second).await?;
    house
        .ok(&["save", "--output", &path("a.tar"), &one, &two])
        .await?;

    // An OCI layout names its images by tag alone.
    for (form, name) in [("oci-archive", "1"), ("docker-archive", one.as_str())] {
        let archive = format!("{form}:{}:{name}", path("a.tar"));
        let inspected = skopeo(&["inspect", &archive]).await?.ok()?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        ensure!(
            inspected["Labels"]["made.of"] == "debian",
            "{form}: {inspected}"
        );
    }

    house.ok(&["rmi", &one, &two]).await?;
    ensure!(store::blobs(house.store.path())?.is_empty());
    let printed = house.ok(&["load", "--input", &path("a.tar")]).await?;
    for name in [&one, &two] {
        ensure!(
            printed.contains(&format!("Loaded image: {name}")),
            "{printed}"
        );
    }
    ensure!(id(&house, &one).await? == first.digest());
    ensure!(id(&house, &two).await? == second.digest());
    house
        .ok(&["save", "--output", &path("b.tar"), &one, &two])
        .await?;
    ensure!(
        std::fs::read(path("a.tar"))? == std::fs::read(path("b.tar"))?,
        "the second archive differs"
    );
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn archives_of_other_tools_load() -> Result<()> {
    let house = House::new().await?;
    let folder = tempfile::tempdir()?;
    let image = package_image(Schema::Docker, Compression::Gzip)?;
    let reference = house
        .registry
        .push("written/by/skopeo", "1", &image)
        .await?;
    for (form, name) in [
        ("docker-archive", "127.0.0.1:1/from/docker-archive:1"),
        ("oci-archive", "127.0.0.1:1/from/oci-archive:1"),
    ] {
        let file = folder.path().join(form).display().to_string();
        skopeo(&[
            "copy",
            "--src-tls-verify=false",
            &format!("docker://{reference}"),
            &format!("{form}:{file}:{name}"),
        ])
        .await?
        .ok()?;
        let printed = house.ok(&["load", "--input", &file]).await?;
        ensure!(
            printed.contains(&format!("Loaded image: {name}")),
            "{form}: {printed}"
        );
        let inspected = house.ok(&["image", "inspect", name]).await?;
        let inspected: Value = serde_json::from_str(&inspected)?;
        let layers = inspected[0]["RootFS"]["Layers"]
            .as_array()
            .context("no layers")?;
        ensure!(layers.len() == image.layers.len(), "{inspected}");
    }
    store::settles(house.store.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_archive_leaves_nothing_visible() -> Result<()> {
    let house = House::new().await?;
    let folder = tempfile::tempdir()?;
    let reference = house
        .pulled(
            "to/be/cut",
            "1",
            &package_image(Schema::Oci, Compression::Gzip)?,
        )
        .await?;
    let whole = folder.path().join("whole.tar");
    house
        .ok(&["save", "--output", &whole.display().to_string(), &reference])
        .await?;
    house.ok(&["rmi", &reference]).await?;
    let bytes = std::fs::read(&whole)?;
    let mut torn = bytes.clone();
    // In the middle of the largest blob.
    let middle = torn.len() / 2;
    torn[middle] ^= 0xff;
    for (what, bytes) in [
        ("cut in half", &bytes[..bytes.len() / 2]),
        ("one bit wrong", &torn[..]),
        ("no archive", &b"this is not an archive"[..]),
        ("nothing", &[][..]),
    ] {
        let bad = folder.path().join("bad.tar");
        std::fs::write(&bad, bytes)?;
        let error = house
            .failed(&["load", "--input", &bad.display().to_string()])
            .await?;
        ensure!(!error.is_empty(), "{what}");
        ensure!(house.images(&[]).await?.is_empty(), "{what}");
        // `index.json` may still follow the removal above.
        store::settles(house.store.path())
            .await
            .with_context(|| what.to_owned())?;
    }
    house.server.answers().await
}

/// The CLI is cut off in the middle of sending unless the server goes on listening.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_is_still_sending() -> Result<()> {
    let house = House::new().await?;
    let folder = tempfile::tempdir()?;
    let archive = folder.path().join("endless.tar");
    let mut header = tar::Header::new_gnu();
    header.set_path("manifest.json")?;
    header.set_mode(0o644);
    header.set_size(100 << 20);
    header.set_cksum();
    std::fs::write(&archive, header.as_bytes())?;
    // All zeros, which nobody gets to see.
    std::fs::OpenOptions::new()
        .write(true)
        .open(&archive)?
        .set_len(100 << 20)?;
    let archive = archive.display().to_string();
    for attempt in 1..=10 {
        let error = house.failed(&["load", "--input", &archive]).await?;
        ensure!(
            error.contains("manifest.json has 104857600 bytes, the limit is"),
            "attempt {attempt}: {error}"
        );
    }
    house.server.answers().await
}
