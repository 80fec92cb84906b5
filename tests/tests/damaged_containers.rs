//! A container whose record is damaged: it hides no other, it says so, and it can be removed.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use strata_tests::client::{Output, strata, strata_fed};
use strata_tests::image::small;
use strata_tests::layout;

async fn run(store: &Path, command: &str, args: &[&str]) -> Result<Output> {
    let store = store.display().to_string();
    strata(&[&[command, "--store", &store], args].concat()).await
}

/// The blob that says what a container is called.
fn record(store: &Path, name: &str) -> Result<PathBuf> {
    let wanted = format!("\"name\":\"{name}\"");
    for entry in fs::read_dir(store.join("blobs/sha256"))? {
        let path = entry?.path();
        if String::from_utf8_lossy(&fs::read(&path)?).contains(&wanted) {
            return Ok(path);
        }
    }
    anyhow::bail!("no container {name}")
}

fn damage(file: &Path) -> Result<()> {
    fs::set_permissions(file, Permissions::from_mode(0o644))?;
    let mut bytes = fs::read(file)?;
    let middle = bytes.len() / 2;
    *bytes.get_mut(middle).context("an empty blob")? ^= 1;
    Ok(fs::write(file, bytes)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_damaged_record_hides_no_other_container_and_can_be_removed() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = folder.path();
    let archive = layout::archive(&[("app:1", &small("app")?)])?;
    let shown = store.display().to_string();
    strata_fed(&["load", "--store", &shown], &archive)
        .await?
        .ok()?;
    for by_id in [false, true] {
        for name in ["box", "other"] {
            let made = run(store, "create", &["--name", name, "app:1", "x"]).await?;
            made.ok()?;
        }
        damage(&record(store, "box")?)?;
        let table = run(store, "ps", &["-a"]).await?;
        let said = table.stderr.clone();
        let table = table.ok()?;
        ensure!(table.contains("box") && table.contains("other"), "{table}");
        let expected = "strata: container box is damaged: blob sha256:";
        ensure!(said.contains(expected), "{said}");
        ensure!(said.contains("; remove it with `strata rm box`"), "{said}");
        let listed = run(store, "ps", &["--format", "json"]).await?.ok()?;
        let listed: Vec<Value> = serde_json::from_str(&listed)?;
        let find = |name: &str| listed.iter().find(|it| it["name"] == name);
        let damaged = find("box").context("box is not listed")?;
        ensure!(damaged["damaged"].is_string(), "{damaged}");
        ensure!(
            find("other").is_some_and(|it| it["damaged"].is_null()),
            "{listed:?}"
        );
        // The others are shown all the same.
        let inspected = run(store, "inspect", &["box", "other"]).await?;
        let documents: Value = serde_json::from_str(&inspected.stdout)?;
        ensure!(documents[0]["Name"] == "/other", "{documents}");
        let said = inspected.failed()?;
        ensure!(said.contains("container box is damaged: blob"), "{said}");
        ensure!(!said.contains("pull"), "{said}");
        let id = damaged["id"].as_str().context("no ID")?;
        run(store, "rm", &[if by_id { id } else { "box" }])
            .await?
            .ok()?;
        run(store, "rm", &["other"]).await?.ok()?;
        let left = run(store, "ps", &["-q"]).await?.ok()?;
        ensure!(left.is_empty(), "{left}");
    }
    Ok(())
}
