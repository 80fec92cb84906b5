//! The disk's part: full, read-only, or shared with another strata.

use anyhow::{Context, Result, ensure};
use hyper::Method;
use serde_json::json;
use std::path::Path;
use std::process::Command;
use strata_tests::client::strata;
use strata_tests::fault::FaultRegistry;
use strata_tests::image::{Image, Schema, small};
use strata_tests::layer::Layer;
use strata_tests::layout;
use strata_tests::server::Server;
use strata_tests::store;
use tempfile::TempDir;

/// A small file system of its own; unmounted when dropped. Needs root and the right to mount.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn mount() -> Result<Option<Self>> {
        let disk = Self(tempfile::tempdir()?);
        if !disk.run("mount", &["-t", "tmpfs", "-o", "size=24m", "tmpfs"]) {
            eprintln!("skipped: this user cannot mount a small file system");
            return Ok(None);
        }
        Ok(Some(disk))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn run(&self, program: &str, args: &[&str]) -> bool {
        let done = Command::new(program)
            .args(args)
            .arg(self.path())
            .stderr(std::process::Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run("umount", &["-l"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_leaves_the_disk_to_others() -> Result<()> {
    let Some(disk) = SmallDisk::mount()? else {
        return Ok(());
    };
    let registry = FaultRegistry::start().await?;
    let server = Server::start(disk.path(), &[]).await?;
    let much = Image::builder(Schema::Oci)
        .layer(Layer::noise(1, 40 << 20)?, "COPY much /")
        .build();
    let load = async |name: &str, image: &Image| {
        let archive = layout::archive(&[(name, image)])?;
        let path = "/images/load?quiet=1";
        let answer = server.http.send(Method::POST, path, &[], archive).await?;
        anyhow::Ok(answer.text())
    };
    let refused = load("much:1", &much).await?;
    ensure!(refused.contains("space"), "{refused}");
    let loaded = load("small:1", &small("one")?).await?;
    ensure!(loaded.contains("Loaded"), "after a load: {loaded}");
    // Downloads that can be continued stay, until somebody needs the room.
    let much = registry.add("much", "1", &much);
    server.pull(&much).await?.failed()?;
    let loaded = load("small:2", &small("two")?).await?;
    ensure!(loaded.contains("Loaded"), "after a pull: {loaded}");
    store::check(disk.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_fails_the_pull_and_nothing_else() -> Result<()> {
    let Some(disk) = SmallDisk::mount()? else {
        return Ok(());
    };
    let registry = FaultRegistry::start().await?;
    let server = Server::start(disk.path(), &[]).await?;
    let first = registry.add("fits", "1", &small("fits")?);
    server.pull(&first).await?.ok()?;

    let image = Image::builder(Schema::Oci)
        .layer(Layer::noise(1, 40 << 20)?, "COPY much /")
        .build();
    let error = server
        .pull(&registry.add("much", "1", &image))
        .await?
        .failed()?;
    ensure!(error.to_lowercase().contains("space"), "{error}");
    store::check(disk.path())?;
    server.answers().await?;
    server
        .http
        .get(&format!("/images/{first}/json"))
        .await?
        .expect_status(&[200])?;

    // Once there is room again, everything works, on this server and the next.
    server
        .http
        .post("/images/prune")
        .await?
        .expect_status(&[200])
        .context("prune on a full disk")?;
    server
        .pull(&registry.add("later", "1", &small("later")?))
        .await?
        .ok()?;
    server.terminate().await?;
    let server = Server::start(disk.path(), &[]).await?;
    server
        .http
        .get(&format!("/images/{first}/json"))
        .await?
        .expect_status(&[200])?;
    store::check(disk.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_store_serves_reads_and_refuses_the_rest_in_clear_words() -> Result<()> {
    let Some(disk) = SmallDisk::mount()? else {
        return Ok(());
    };
    let registry = FaultRegistry::start().await?;
    let server = Server::start(disk.path(), &[]).await?;
    let image = small("read only")?;
    let reference = registry.add("read/only", "1", &image);
    server.pull(&reference).await?.ok()?;
    server.terminate().await?;
    ensure!(
        disk.run("mount", &["-o", "remount,ro"]),
        "could not make the disk read-only"
    );

    let whole = |archive: &[u8]| {
        let has = |blob: &[u8]| archive.windows(blob.len()).any(|part| part == blob);
        image.contents().all(|blob| has(&blob.bytes))
    };
    let server = Server::start(disk.path(), &[]).await?;
    let listed = server.http.get("/images/json").await?;
    let listed = listed.expect_status(&[200])?.json()?;
    ensure!(listed[0]["RepoTags"] == json!([reference]), "{listed}");
    let inspected = server
        .http
        .get(&format!("/images/{reference}/json"))
        .await?;
    let inspected = inspected.expect_status(&[200])?.json()?;
    ensure!(inspected["Id"] == image.digest(), "{inspected}");
    let saved = server.http.get(&format!("/images/{reference}/get")).await?;
    let saved = saved.expect_status(&[200])?;
    ensure!(whole(&saved.body), "{} bytes", saved.body.len());
    let tag = format!("/images/{reference}/tag?repo=other&tag=1");
    let tagged = server.http.post(&tag).await?;
    let text = tagged.text();
    ensure!(tagged.status >= 400 && text.contains("read-only"), "{text}");
    let (status, log) = server.stop().await?;
    ensure!(
        status.success() && !log.contains("ERROR"),
        "{status}: {log}"
    );

    let folder = disk.path().display().to_string();
    let on = async |command: &str, args: &[&str]| {
        strata(&[&[command, "--store", &folder], args].concat()).await
    };
    let listed = on("images", &[]).await?.ok()?;
    ensure!(listed.contains("read/only"), "{listed}");
    on("inspect", &[&reference]).await?.ok()?;
    let saved = on("save", &[&reference]).await?.archive()?;
    ensure!(whole(&saved), "{} bytes", saved.len());
    let other = registry.add("other", "1", &small("other")?);
    let pulled = on("pull", &[&other]).await?.failed()?;
    ensure!(pulled.to_lowercase().contains("read-only"), "{pulled}");
    ensure!(
        !pulled.contains("panic") && !pulled.contains("wasm"),
        "{pulled}"
    );
    store::check(disk.path())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_share_one_store() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = FaultRegistry::start().await?;
    let (one, two) = (
        Server::start(folder.path(), &[]).await?,
        Server::start(folder.path(), &[]).await?,
    );
    let shared = Layer::noise(1, 4 << 20)?;
    let mut references = Vec::new();
    for number in 0..6 {
        let own = Layer::noise(10 + number, 100_000)?;
        let image = Image::builder(Schema::Oci)
            .layer(shared.clone(), "shared")
            .layer(own, "own")
            .build();
        references.push(registry.add(&format!("image/{number}"), "1", &image));
    }
    let (one, two) = (&one, &two);
    let pulls = references
        .iter()
        .enumerate()
        .map(|(n, reference)| async move {
            let server = if n % 2 == 0 { one } else { two };
            server.pull(reference).await?.ok()
        });
    futures::future::try_join_all(pulls).await?;
    for server in [&one, &two] {
        for reference in &references {
            server
                .http
                .get(&format!("/images/{reference}/json"))
                .await?
                .expect_status(&[200])?;
        }
    }
    one.http
        .delete(&format!("/images/{}", references[0]))
        .await?
        .expect_status(&[200])?;
    two.http
        .get(&format!("/images/{}/json", references[0]))
        .await?
        .expect_status(&[404])?;
    two.http
        .get(&format!("/images/{}/json", references[1]))
        .await?
        .expect_status(&[200])?;
    store::settles(folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_did_its_work_has_not_failed_where_only_index_json_could_not_be_written()
-> Result<()> {
    let folder = tempfile::tempdir()?;
    let registry = FaultRegistry::start().await?;
    let server = Server::start(folder.path(), &[]).await?;
    let reference = registry.add("image", "1", &small("image")?);
    server.pull(&reference).await?.ok()?;
    server.terminate().await?;
    let store = folder.path().display().to_string();
    // Somebody else writes it, and does not come to an end.
    let writing = std::fs::File::open(folder.path().join(".strata/index.lock"))?;
    writing.lock()?;
    let tagged = strata(&["tag", "--store", &store, &reference, "other:1"]).await?;
    ensure!(tagged.status == 0, "{}", tagged.stderr);
    let said = "index.json is out of date";
    ensure!(tagged.stderr.contains(said), "{}", tagged.stderr);
    drop(writing);
    let listed = strata(&["images", "--store", &store]).await?;
    ensure!(listed.stdout.contains("other"), "{}", listed.stdout);
    store::settles(folder.path()).await
}
