//! Commands that read and write archives.

use std::path::PathBuf;

use clap::Args;

use super::Printing;

/// `strata save`
#[derive(Debug, Args)]
pub(crate) struct Save {
    /// Images to save: names, repositories for all their tags, IDs or the first digits of IDs
    #[arg(value_name = "IMAGE", required = true)]
    pub(crate) names: Vec<String>,
    /// File to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata load`
#[derive(Debug, Args)]
pub(crate) struct Load {
    /// File to read [default: stdin]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata import`
#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The tar: a file, an http or https URL, or `-` for stdin
    #[arg(value_name = "FILE|URL|-")]
    pub(crate) source: String,
    /// Name of the image, NAME[:TAG]
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: Option<String>,
    /// Dockerfile instruction for the image's config; repeat for more
    #[arg(long, short, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// Comment in the image's history
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
