//! One load of an archive of two thousand images.

use crate::Options;
use crate::contest::Contest;
use crate::fixture::{self, MANY};
use crate::loading::LOAD;
use crate::peer::{Peers, Run, knows, measure, place, settle, strata_command, with_look};
use crate::served::Served;
use crate::table::{Table, time};
use crate::wire::Body;
use anyhow::{Result, bail, ensure};
use std::time::Duration;
use tokio::process::Command;

/// A peer gets this long for the archive of many images; some need time that grows with the square of them.
const LONGEST: Duration = Duration::from_secs(600);

/// As [`measure`], but not for ever.
async fn patiently(command: Command) -> Result<Run> {
    match tokio::time::timeout(LONGEST, measure(command)).await {
        Ok(run) => run,
        Err(_) => bail!("not done after {}", time(LONGEST)),
    }
}

/// An archive of two thousand images.
pub(crate) async fn load(options: &Options, peers: &Peers, table: &mut Table) -> Result<()> {
    let archive = fixture::many()?;
    let shown = archive.display().to_string();
    let mut contest = Contest::new(&format!("load of an archive of {MANY} images"), "≤ 7 s");
    let command = knows("load").await?;
    let last = format!("docker.io/bench/many-{}:1", MANY - 1);
    for run in 1..=options.runs {
        eprintln!(
            "{MANY} images in one archive, run {run} of {}",
            options.runs
        );
        let served = Served::start().await?;
        settle().await?;
        let (run, answer) = served.timed(|wire| wire.send("POST", LOAD, Body::File(&archive)))?;
        if answer.status == 501 {
            break;
        }
        answer.expect(200)?;
        let listed = served
            .ask("GET", "/images/json", Body::Empty)?
            .expect(200)?
            .json()?;
        let count = listed.as_array().map_or(0, Vec::len);
        ensure!(count == MANY, "{count} of {MANY} images were loaded");
        contest.ours("strata serve", run);
        served.stop().await?;
        if command {
            let folder = place()?;
            let store = folder.path().join("store");
            settle().await?;
            let load = strata_command(&store, &["load", "--input", &shown])?;
            contest.ours("strata load", measure(load).await?);
            measure(strata_command(&store, &["inspect", &last])?).await?;
        }
    }
    // Peers take minutes: one run of each.
    if contest.of_ours("strata serve").is_some() {
        if let Some(containerd) = peers.containerd().await? {
            settle().await?;
            let load = containerd.ctr(&["images", "import", "--no-unpack", &shown]);
            let look = || containerd.ctr(&["images", "label", &last, "looked=for"]);
            contest.peer(
                "ctr --no-unpack",
                with_look(patiently(load).await, look).await,
            );
            containerd.stop().await?;
        }
        if let Some(dockerd) = peers.dockerd().await? {
            settle().await?;
            let load = dockerd.docker(&["load", "--quiet", "--input", &shown]);
            let look = || dockerd.docker(&["image", "inspect", &last]);
            contest.peer("dockerd", with_look(patiently(load).await, look).await);
            dockerd.stop().await?;
        }
        if let Some(podman) = peers.podman_store()? {
            settle().await?;
            let load = podman.command(&["load", "--quiet", "--input", &shown]);
            let look = || podman.command(&["image", "exists", &last]);
            contest.peer("podman", with_look(patiently(load).await, look).await);
        }
    }
    contest.show(table);
    Ok(())
}
