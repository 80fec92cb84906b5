//! `cargo xtask bench`: strata beside skopeo, podman, and where they can run containerd and dockerd, on this machine,
//! in one run, medians as ratios.
//!
//! Nothing here judges: the table shows the measured value, the peers' and the target from the issue.
#![allow(
    clippy::print_stdout,
    reason = "a command-line program: its standard output is the table"
)]

mod authoring;
mod catalog;
mod checking;
mod contest;
mod copying;
mod crowd;
mod daemon;
mod fixture;
mod hashing;
mod loading;
mod many;
mod memory;
mod peer;
mod pings;
mod podman;
mod pull;
mod pushing;
mod saving;
mod served;
mod stalled;
mod stock;
mod table;
mod wire;
mod workload;

use anyhow::{Context, Result, bail};
use strata_tests::registry::Registry;
use table::Table;

const SECTIONS: [&str; 15] = [
    "pull", "repull", "memory", "catalog", "crowd", "stalled", "ping", "cp", "check", "push",
    "save", "load", "many", "import", "commit",
];
/// The sections of the second part: the other ways in and out of a store.
const TRANSFERS: [&str; 6] = ["push", "save", "load", "many", "import", "commit"];

/// What the command line asks for.
struct Options {
    runs: usize,
    only: Vec<String>,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            runs: 5,
            only: Vec::new(),
        };
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (arg, args.next()),
            };
            let value = value.with_context(|| format!("{name} needs a value"))?;
            match name.as_str() {
                "--runs" => options.runs = value.parse().context("--runs needs a number")?,
                "--only" => options.only = value.split(',').map(str::to_owned).collect(),
                _ => bail!(
                    "unknown option {name}; there are --runs N and --only {}",
                    SECTIONS.join(",")
                ),
            }
        }
        if let Some(unknown) = options
            .only
            .iter()
            .find(|only| !SECTIONS.contains(&only.as_str()))
        {
            bail!("no section {unknown}; there are {}", SECTIONS.join(", "));
        }
        if options.runs == 0 {
            bail!("--runs needs at least 1");
        }
        Ok(options)
    }

    fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == section)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut table = Table::default();
    if options.wants("pull") || options.wants("repull") {
        let registry = Registry::start().await?;
        let work = workload::debian(&registry).await?;
        table.note(&format!("image: {}", work.shown()));
        let peers = peer::Peers::find(&registry).await?;
        for reason in peers.absent() {
            table.note(reason);
        }
        if options.wants("pull") {
            pull::cold(&options, &work, &peers, &mut table).await?;
        }
        if options.wants("repull") {
            pull::again(&options, &work, &peers, &mut table).await?;
        }
    }
    if options.wants("memory") {
        let registry = Registry::start().await?;
        memory::one_large_layer(&registry, &mut table).await?;
    }
    if options.wants("catalog") {
        catalog::two_thousand_images(&options, &mut table).await?;
    }
    if options.wants("crowd") {
        crowd::idle_connections_and_pulls(&mut table).await?;
    }
    if options.wants("stalled") {
        stalled::readers_and_writers(&mut table).await?;
    }
    if ["ping", "cp", "check"]
        .iter()
        .any(|section| options.wants(section))
    {
        let image = fixture::Debian::new()?;
        if options.wants("ping") {
            pings::beside_heavy_requests(&image, &mut table).await?;
        }
        if options.wants("cp") {
            copying::one_file_out(&options, &image, &mut table).await?;
        }
        if options.wants("check") {
            checking::all_content(&options, &image, &mut table).await?;
        }
    }
    if TRANSFERS.iter().any(|section| options.wants(section)) {
        transfers(&options, &mut table).await?;
    }
    print!("{table}");
    Ok(())
}

/// The second part.
async fn transfers(options: &Options, table: &mut Table) -> Result<()> {
    let registry = Registry::start().await?;
    let peers = peer::Peers::find(&registry).await?.with_daemons().await?;
    for reason in peers.absent() {
        table.note(reason);
    }
    let image = fixture::Debian::new()?;
    if ["push", "save", "commit"]
        .iter()
        .any(|section| options.wants(section))
    {
        let stock = stock::Stock::new(&image, &registry, &peers).await?;
        if options.wants("push") {
            pushing::to_an_empty_registry(options, &image, &stock, table).await?;
        }
        if options.wants("save") {
            saving::to_a_file(options, &image, &stock, table).await?;
        }
        if options.wants("commit") {
            authoring::commit(options, &stock, table).await?;
        }
        stock.stop().await?;
    }
    if options.wants("load") {
        loading::archive(options, &image, &peers, table).await?;
    }
    if options.wants("many") {
        many::load(options, &peers, table).await?;
    }
    if options.wants("import") {
        authoring::import(options, &peers, table).await?;
    }
    Ok(())
}
