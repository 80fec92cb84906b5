//! Peak memory while one layer of 2 GB is pulled: it must not follow the layer's size.

use crate::peer::{measure, peak_memory, place, reset_peak_memory, settle, skopeo, strata};
use crate::table::{Table, mib, time};
use crate::workload;
use anyhow::Result;
use std::time::Instant;
use strata_tests::poll::PATIENCE;
use strata_tests::registry::Registry;
use strata_tests::server::{Server, pull_path};

pub(crate) async fn one_large_layer(registry: &Registry, table: &mut Table) -> Result<()> {
    let work = workload::large(registry).await?;
    let folder = place()?;
    settle().await?;
    let command = measure(strata(folder.path(), &work.reference)?).await?;

    let folder = place()?;
    settle().await?;
    let server = Server::start(&folder.path().join("store"), &[]).await?;
    reset_peak_memory(server.pid())?;
    let start = Instant::now();
    // Two gigabytes may take longer than a test's patience on a slow disk: no deadline here.
    let answer = server.http.post(&pull_path(&work.reference)).await?;
    let wall = start.elapsed();
    anyhow::ensure!(
        answer.text().contains("Status: "),
        "after {PATIENCE:?}: {}",
        answer.text()
    );
    let served = peak_memory(server.pid())?;
    server.kill().await?;

    let folder = place()?;
    settle().await?;
    let copied = measure(skopeo(folder.path(), &work.reference)).await?;
    let beside = format!("skopeo {} in {}", mib(copied.peak), time(copied.wall));
    let ours = |peak: u64, wall| format!("{} in {}", mib(peak), time(wall));
    let target = "± 10 % of the eleven layers";
    table.row(
        "peak memory, one 2 GB layer, strata pull",
        ours(command.peak, command.wall),
        beside.clone(),
        target,
    );
    table.row(
        "peak memory, one 2 GB layer, strata serve",
        ours(served, wall),
        beside,
        target,
    );
    Ok(())
}
