//! Commands on the images that are here.

use clap::Args;

use super::{Format, Printing};

/// `strata images`
#[derive(Debug, Args)]
pub(crate) struct Images {
    /// Only names that match this shell pattern; `*` does not cross `/`
    #[arg(value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Only images with this property, KEY=VALUE; repeat for more
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
    /// Print only IDs
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print IDs in full
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Show digests
    #[arg(long)]
    pub(crate) digests: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata inspect`
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Images, or containers, to show: names, IDs or the first digits of IDs
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) names: Vec<String>,
    /// Always JSON; accepted so that every command takes it
    #[arg(long, value_name = "FORMAT", hide = true)]
    pub(crate) format: Option<Format>,
}

/// `strata history`
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Image to show: its name, ID or the first digits of its ID
    #[arg(value_name = "IMAGE")]
    pub(crate) name: String,
    /// Print only IDs
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print IDs and instructions in full
    #[arg(long)]
    pub(crate) no_trunc: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata tag`
#[derive(Debug, Args)]
pub(crate) struct Tag {
    /// Image to name: its name, ID or the first digits of its ID
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// Its new name, NAME[:TAG]; taken from another image if that has it
    #[arg(value_name = "TARGET")]
    pub(crate) target: String,
}

/// `strata rmi`
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Images to remove: names, IDs or the first digits of IDs
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) names: Vec<String>,
    /// Remove an ID with all its names; a missing image is no failure
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata prune`
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Also remove images with names, if no container uses them
    #[arg(long, short)]
    pub(crate) all: bool,
    /// Only images with this property, KEY=VALUE; repeat for more
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) filter: Vec<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Do not read all content again: only sizes, documents and names
    #[arg(long)]
    pub(crate) quick: bool,
    /// Fetch exactly what is damaged or missing from the registries it came from
    ///
    /// Damaged content that no registry has is moved out of the store, to .strata/quarantine.
    #[arg(long)]
    pub(crate) repair: bool,
    /// Print no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
