//! Cold pulls and re-pulls of an unchanged tag.

use crate::Options;
use crate::contest::Contender;
use crate::peer::{Peers, measure, peak_memory, place, reset_peak_memory, settle, skopeo, strata};
use crate::table::{Table, mib};
use crate::workload::Workload;
use anyhow::Result;
use std::time::Instant;
use strata_tests::server::Server;

#[derive(Default)]
struct Contenders {
    command: Contender,
    served: Contender,
    skopeo: Contender,
    podman: Contender,
}

impl Contenders {
    fn show(&self, what: &str, with_podman: bool, targets: [&str; 2], table: &mut Table) {
        let skopeo = ("skopeo", &self.skopeo.wall);
        table.ratio(
            &format!("{what}, strata pull"),
            &self.command.wall,
            skopeo,
            targets[0],
        );
        table.ratio(
            &format!("{what}, strata serve"),
            &self.served.wall,
            skopeo,
            targets[0],
        );
        if with_podman {
            let podman = ("podman", &self.podman.wall);
            table.ratio(
                &format!("{what}, strata serve"),
                &self.served.wall,
                podman,
                targets[1],
            );
        }
    }
}

/// Into an empty store each time.
pub(crate) async fn cold(
    options: &Options,
    work: &Workload,
    peers: &Peers,
    table: &mut Table,
) -> Result<()> {
    let mut all = Contenders::default();
    for run in 1..=options.runs {
        eprintln!("cold pull, run {run} of {}", options.runs);
        let folder = place()?;
        settle().await?;
        all.command
            .add(measure(strata(folder.path(), &work.reference)?).await?);

        let folder = place()?;
        settle().await?;
        let server = Server::start(&folder.path().join("store"), &[]).await?;
        reset_peak_memory(server.pid())?;
        let start = Instant::now();
        server.pull(&work.reference).await?.ok()?;
        let wall = start.elapsed();
        all.served.add(crate::peer::Run {
            wall,
            peak: peak_memory(server.pid())?,
        });
        server.kill().await?;

        let folder = place()?;
        settle().await?;
        all.skopeo
            .add(measure(skopeo(folder.path(), &work.reference)).await?);

        let folder = place()?;
        settle().await?;
        if let Some(podman) = peers.podman(folder.path(), &work.reference) {
            all.podman.add(measure(podman).await?);
        }
    }
    let with_podman = peers.has_podman();
    all.show("cold pull", with_podman, ["≤ 0.8 ×", "≤ 0.1 ×"], table);
    let podman = if with_podman {
        format!(", podman {}", mib(all.podman.peak))
    } else {
        String::new()
    };
    let beside = format!("skopeo {}{podman}", mib(all.skopeo.peak));
    table.row(
        "peak memory of that, strata pull",
        mib(all.command.peak),
        beside.clone(),
        "≤ 96 MiB",
    );
    table.row(
        "peak memory of that, strata serve",
        mib(all.served.peak),
        beside,
        "≤ 96 MiB",
    );
    Ok(())
}

/// Where everything is already.
pub(crate) async fn again(
    options: &Options,
    work: &Workload,
    peers: &Peers,
    table: &mut Table,
) -> Result<()> {
    let folder = place()?;
    let (path, reference) = (folder.path(), &work.reference);
    let server = Server::start(&path.join("store"), &[]).await?;
    server.pull(reference).await?.ok()?;
    measure(skopeo(path, reference)).await?;
    if let Some(podman) = peers.podman(path, reference) {
        measure(podman).await?;
    }
    let mut all = Contenders::default();
    for run in 0..=options.runs {
        settle().await?;
        let command = measure(strata(path, reference)?).await?;
        let start = Instant::now();
        server.pull(reference).await?.ok()?;
        let wall = start.elapsed();
        let copied = measure(skopeo(path, reference)).await?;
        let podman = match peers.podman(path, reference) {
            Some(podman) => Some(measure(podman).await?),
            None => None,
        };
        // The first round warms caches and connections for all of them.
        if run > 0 {
            all.command.add(command);
            all.served.add(crate::peer::Run { wall, peak: 0 });
            all.skopeo.add(copied);
            podman.into_iter().for_each(|podman| all.podman.add(podman));
        }
    }
    server.kill().await?;
    all.show("re-pull", peers.has_podman(), ["≤ 1 ×", "≤ 1 ×"], table);
    Ok(())
}
