//! `cargo xtask bench`: strata beside skopeo and podman on this machine, in one run, medians as ratios.
//!
//! Nothing here judges: the table shows the measured value, the peers' and the target from the issue.
#![allow(
    clippy::print_stdout,
    reason = "a command-line program: its standard output is the table"
)]

mod catalog;
mod crowd;
mod memory;
mod peer;
mod pull;
mod table;
mod workload;

use anyhow::{Context, Result, bail};
use strata_tests::registry::Registry;
use table::Table;

const SECTIONS: [&str; 5] = ["pull", "repull", "memory", "catalog", "crowd"];

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
    print!("{table}");
    Ok(())
}
