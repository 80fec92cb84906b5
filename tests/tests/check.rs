//! `strata check`: what was damaged at rest is found, said and fetched again, and nothing else is touched.

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use strata_tests::client::{Output, strata};
use strata_tests::fault::FaultRegistry;
use strata_tests::house::{House, package_image};
use strata_tests::image::{Schema, small};
use strata_tests::layer::Compression;
use strata_tests::layout;
use strata_tests::server::Server;
use strata_tests::store;

/// What a disk may do to a file.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Flip,
    Truncate,
    Remove,
}

fn harm(store: &Path, digest: &str, harm: Harm) -> Result<()> {
    let file = store::blob(store, digest);
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    match harm {
        Harm::Flip => {
            let mut bytes = fs::read(&file)?;
            let middle = bytes.len() / 2;
            *bytes.get_mut(middle).context("an empty blob")? ^= 1;
            fs::write(&file, bytes)?;
        }
        Harm::Truncate => fs::File::options().write(true).open(&file)?.set_len(7)?,
        Harm::Remove => fs::remove_file(&file)?,
    }
    Ok(())
}

async fn check(store: &Path, args: &[&str]) -> Result<Output> {
    let store = store.display().to_string();
    strata(
        &[
            &["check", "--store", &store, "--format", "json", "--quiet"],
            args,
        ]
        .concat(),
    )
    .await
}

/// The object of the result, if the command ended with this status.
fn result(output: &Output, status: i32) -> Result<Value> {
    ensure!(output.status == status, "{output:?}");
    let line = output.stdout.lines().last().context("no result")?;
    Ok(serde_json::from_str::<Value>(line)?["result"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pulled_image_is_repaired_from_its_registry_whatever_happened_to_it() -> Result<()> {
    let house = House::new().await?;
    let image = package_image(Schema::Oci, Compression::Gzip)?;
    let reference = house.pulled("made/whole", "1", &image).await?;
    house.pulled("left/alone", "1", &small("alone")?).await?;
    let path = house.store.path();
    result(&check(path, &[]).await?, 0)?;
    let blobs: Vec<String> = image.contents().map(|blob| blob.digest.clone()).collect();
    let whole = store::blobs(path)?;
    for blob in std::iter::once(image.digest()).chain(blobs.iter().map(String::as_str)) {
        for how in [Harm::Flip, Harm::Truncate, Harm::Remove] {
            let what = format!("{how:?} of {blob}");
            harm(path, blob, how)?;
            let found = result(&check(path, &[]).await?, 4).context(what.clone())?;
            ensure!(found["faults"][0]["digest"] == blob, "{what}: {found}");
            ensure!(
                found["faults"].as_array().map(Vec::len) == Some(1),
                "{what}: {found}"
            );
            ensure!(
                found["affected"][0]["names"][0] == reference.as_str(),
                "{what}: {found}"
            );
            let mended = result(&check(path, &["--repair"]).await?, 3).context(what.clone())?;
            ensure!(mended["verdict"] == "repaired", "{what}: {mended}");
            ensure!(store::blobs(path)? == whole, "{what}");
            store::check(path).context(what)?;
        }
    }
    result(&check(path, &[]).await?, 0)?;
    let saved = tempfile::NamedTempFile::new()?;
    let file = saved.path().display().to_string();
    house.ok(&["save", "--output", &file, &reference]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_registry_has_is_quarantined_and_its_image_can_be_removed() -> Result<()> {
    let house = House::new().await?;
    let image = small("lost")?;
    house.pulled("lost/image", "1", &image).await?;
    house.pulled("left/alone", "1", &small("alone")?).await?;
    let layer = image.contents().last().context("no layer")?.digest.clone();
    let path = house.store.path();
    harm(path, &layer, Harm::Flip)?;
    fs::remove_dir_all(house.registry.storage())?;
    let mended = result(&check(path, &["--repair"]).await?, 4)?;
    ensure!(
        mended["faults"][0]["outcome"]["quarantined"].is_string(),
        "{mended}"
    );
    let kept = path.join(".strata/quarantine");
    ensure!(fs::read_dir(kept)?.count() == 1);
    ensure!(!store::blobs(path)?.contains(&layer));
    for name in house.images(&["lost/image"]).await? {
        house.ok(&["rmi", &name]).await?;
    }
    let images = house.images(&[]).await?;
    for name in images.iter().filter(|name| name.contains("lost")) {
        house.ok(&["rmi", name]).await?;
    }
    result(&check(path, &[]).await?, 0)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_missing_is_shown_and_logged_once() -> Result<()> {
    for part in ["layer", "config", "manifest"] {
        let store = tempfile::tempdir()?;
        let server = Server::start(store.path(), &[]).await?;
        let registry = FaultRegistry::start().await?;
        let image = small("kept")?;
        let reference = registry.add("app", "1", &image);
        server.pull(&reference).await?.ok()?;
        let gone = match part {
            "layer" => image.layers[0].digest.clone(),
            "config" => image.configs[0].digest.clone(),
            _ => image.digest().to_owned(),
        };
        harm(store.path(), &gone, Harm::Remove)?;
        // A server that has not seen the image yet.
        server.terminate().await?;
        let server = Server::start(store.path(), &[]).await?;
        for _ in 0..3 {
            let listed = server.http.get("/images/json").await?;
            let listed = listed.expect_status(&[200])?.text();
            ensure!(listed.contains("missing"), "{part}: {listed}");
        }
        let (_, log) = server.stop().await?;
        let told = log.matches("a blob is missing").count();
        ensure!(told == 1 && log.contains(&gone), "{part}: {log}");
    }
    Ok(())
}

/// So many that what a listing needs of them is kept from one server to the next.
#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_it_was_listed_is_shown() -> Result<()> {
    let names: Vec<String> = (0..40)
        .map(|number| format!("localhost/many:{number}"))
        .collect();
    let images: Vec<_> = names
        .iter()
        .map(|name| small(name))
        .collect::<Result<_>>()?;
    let entries: Vec<_> = names.iter().map(String::as_str).zip(&images).collect();
    let archive = layout::archive(&entries)?;
    let store = tempfile::tempdir()?;
    let server = Server::start(store.path(), &[]).await?;
    let loaded = server.http.send(Method::POST, "/images/load", &[], archive);
    loaded.await?.expect_status(&[200])?;
    // Of each image, whether it is shown as damaged.
    let listed = async |server: &Server| -> Result<BTreeMap<String, bool>> {
        let answer = server.http.get("/images/json").await?;
        let list = answer.expect_status(&[200])?.json()?;
        let images = list.as_array().context("the list is no array")?.iter();
        let damaged = |image: &Value| image["Damaged"].is_string();
        Ok(images
            .map(|image| (image["Id"].to_string(), damaged(image)))
            .collect())
    };
    ensure!(!listed(&server).await?.values().any(|damaged| *damaged));
    server.terminate().await?;
    let kept = store.path().join(".strata/derived/documents-1/pack");
    ensure!(kept.is_file());
    let mut harmed = BTreeSet::new();
    for (number, how) in [Harm::Flip, Harm::Truncate, Harm::Remove]
        .into_iter()
        .enumerate()
    {
        let (one, other) = (&images[2 * number], &images[2 * number + 1]);
        harm(store.path(), one.digest(), how)?;
        harm(store.path(), &other.configs[0].digest, how)?;
        harmed.extend([one, other].map(|image| format!("{:?}", image.digest())));
    }
    let server = Server::start(store.path(), &[]).await?;
    for (id, damaged) in listed(&server).await? {
        ensure!(damaged == harmed.contains(&id), "{id}: {damaged}");
    }
    server.terminate().await?;
    Ok(())
}
