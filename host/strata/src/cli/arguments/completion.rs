//! `strata completion` and `strata man`

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `strata completion`
#[derive(Debug, Args)]
pub(crate) struct Completion {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: Shell,
}

/// `strata man`
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for them, created if it is missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
}
