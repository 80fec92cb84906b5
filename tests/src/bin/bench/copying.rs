//! One file copied out of a container of a big image: the first time its layers are read, later not.

use crate::Options;
use crate::fixture::{Debian, NAME};
use crate::peer::{place, settle};
use crate::served::Served;
use crate::stock;
use crate::table::{Samples, Table, time};
use crate::wire::{Body, KeepAlive};
use anyhow::{Context, Result, ensure};
use flate2::read::GzDecoder;
use serde_json::json;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use strata_tests::server::escape;

/// `docker cp box:FILE -`, again and again, and by another server.
pub(crate) async fn one_file_out(
    options: &Options,
    image: &Debian,
    table: &mut Table,
) -> Result<()> {
    let layer = image.layers.last().context("an image without layers")?;
    let (name, size) = some_file(&layer.path)?;
    let path = format!("/containers/box/archive?path={}", escape(&name));
    let (mut first, mut second, mut later) =
        (Samples::default(), Samples::default(), Samples::default());
    for run in 1..=options.runs {
        eprintln!("cp, run {run} of {}", options.runs);
        let folder = place()?;
        stock::fill(image, &folder.path().join("store")).await?;
        let served = Served::on(folder).await?;
        let body = json!({"Image": NAME, "Cmd": ["true"]}).to_string();
        served
            .ask("POST", "/containers/create?name=box", Body::Json(&body))?
            .expect(201)?;
        settle().await?;
        first.add(copy(&served, &path, size)?);
        second.add(copy(&served, &path, size)?);
        let served = served.restarted().await?;
        later.add(copy(&served, &path, size)?);
        served.stop().await?;
    }
    // 50 ms: people do not notice it.
    for (what, samples, target) in [
        ("the second time", &second, "≤ 50 ms"),
        ("the first after a restart", &later, ""),
    ] {
        let beside = format!("the first time {}", time(first.median()));
        table.row(
            &format!("one file out of a container of eleven layers, {what}"),
            time(samples.median()),
            beside,
            target,
        );
    }
    Ok(())
}

fn copy(served: &Served, path: &str, size: u64) -> Result<std::time::Duration> {
    let get = |wire: &mut KeepAlive| wire.send("GET", path, Body::Empty);
    let (run, answer) = served.timed(get)?;
    let length = answer.expect(200)?.body.len() as u64;
    ensure!(length > size, "{length} bytes for a file of {size}");
    Ok(run.wall)
}

/// A file of a layer, and its size.
fn some_file(layer: &Path) -> Result<(String, u64)> {
    let mut layer = tar::Archive::new(GzDecoder::new(BufReader::new(File::open(layer)?)));
    for entry in layer.entries()? {
        let entry = entry?;
        if entry.header().entry_type().is_file() && entry.size() > 0 {
            return Ok((format!("/{}", entry.path()?.display()), entry.size()));
        }
    }
    anyhow::bail!("a layer without files")
}
