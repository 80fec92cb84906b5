//! Archives of the image, written to a file.

use crate::Options;
use crate::contest::Contest;
use crate::fixture::{Debian, NAME};
use crate::peer::{knows, measure, place, settle, strata_command};
use crate::stock::Stock;
use crate::table::Table;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use strata_tests::server::escape;
use tokio::process::Command;

pub(crate) async fn to_a_file(
    options: &Options,
    image: &Debian,
    stock: &Stock,
    table: &mut Table,
) -> Result<()> {
    let mut contest = Contest::new("save to a file", "≤ 0.25 ×");
    let command = knows("save").await?;
    if !command {
        table.note("save: this build has no `strata save`");
    }
    for run in 1..=options.runs {
        eprintln!("save, run {run} of {}", options.runs);
        let folder = place()?;
        let file = folder.path().join("saved.tar");
        let shown = file.display().to_string();
        settle().await?;
        let path = format!("/images/get?names={}", escape(NAME));
        let (served, answer) = stock.strata.timed(|wire| wire.download(&path, &file))?;
        if answer.status == 501 {
            break;
        }
        answer.expect(200)?;
        holds(&file, image).context("strata serve")?;
        contest.ours("strata serve", served);
        if command {
            std::fs::remove_file(&file)?;
            settle().await?;
            let save = strata_command(&stock.strata.store(), &["save", "--output", &shown, NAME])?;
            contest.ours("strata save", measure(save).await?);
            holds(&file, image).context("strata save")?;
        }

        for (form, name) in [
            ("docker-archive", "skopeo docker-archive"),
            ("oci-archive", "skopeo oci-archive"),
        ] {
            std::fs::remove_file(&file)?;
            settle().await?;
            let mut skopeo = Command::new("skopeo");
            skopeo.args(["--insecure-policy", "copy", "--quiet"]);
            skopeo
                .arg(stock.in_layout())
                .arg(format!("{form}:{shown}:{NAME}"));
            contest.peer(name, measure(skopeo).await);
            if form == "docker-archive" {
                holds(&file, image).context("skopeo")?;
            }
        }
        if let Some(podman) = stock.podman.as_ref().filter(|_| contest.is_in("podman")) {
            std::fs::remove_file(&file)?;
            settle().await?;
            let save = ["save", "--quiet", "--output", &shown, &stock.reference];
            let saved = measure(podman.command(&save)).await;
            contest.peer(
                "podman",
                saved.and_then(|run| holds(&file, image).map(|()| run)),
            );
        }
        if let Some(containerd) = stock.containerd.as_ref().filter(|_| contest.is_in("ctr")) {
            std::fs::remove_file(&file).or_else(ignore_missing)?;
            settle().await?;
            let save = ["images", "export", &shown, &stock.reference];
            let saved = measure(containerd.ctr(&save)).await;
            contest.peer(
                "ctr",
                saved.and_then(|run| holds(&file, image).map(|()| run)),
            );
        }
    }
    contest.show(table);
    Ok(())
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    }
}

/// The archive's `manifest.json` names every layer, and they are there in full: compressed or plain.
fn holds(file: &Path, image: &Debian) -> Result<()> {
    let mut sizes = BTreeMap::new();
    let mut manifest = Value::Null;
    for entry in tar::Archive::new(File::open(file)?).entries_with_seek()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        if path == "manifest.json" {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            manifest = serde_json::from_str(&text)?;
        }
        // podman stores a layer's old name as a link to it: a link has no size.
        sizes.insert(path, entry.size());
    }
    let names = manifest[0]["Layers"]
        .as_array()
        .context("an archive without layers")?;
    let here: Option<Vec<u64>> = names
        .iter()
        .map(|name| sizes.get(name.as_str()?).copied())
        .collect();
    let here = here.context("a layer of manifest.json is not in the archive")?;
    let packed: Vec<u64> = image.layers.iter().map(|layer| layer.size).collect();
    let plain: Vec<u64> = image.layers.iter().map(|layer| layer.plain).collect();
    ensure!(
        here == packed || here == plain,
        "the archive's layers have {here:?} bytes"
    );
    Ok(())
}
