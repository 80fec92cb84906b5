//! `strata completion` and `strata man`: what shells and `man` know of the command line.

use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::Outcome;
use super::arguments::Arguments;

/// Prints the completions for a shell.
pub(crate) fn print(shell: Shell) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "strata", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Outcome::Done)
}

/// Writes a page for each command into a folder, which is created if it is missing.
pub(crate) fn write_pages(folder: &Path) -> anyhow::Result<Outcome> {
    std::fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), folder))
        .with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
    Ok(Outcome::Done)
}
