//! Commands on containers.

use std::path::PathBuf;

use clap::Args;

use super::Printing;

/// `strata create`
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Name of the container [default: one is made up]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Environment variable KEY=VALUE, or KEY for that of this process; repeat for more
    #[arg(long, short, value_name = "KEY[=VALUE]")]
    pub(crate) env: Vec<String>,
    /// Working directory
    #[arg(long, short, value_name = "PATH")]
    pub(crate) workdir: Option<String>,
    /// User, NAME[:GROUP] or numbers
    #[arg(long, short, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Label; repeat for more
    #[arg(long, short, value_name = "KEY[=VALUE]")]
    pub(crate) label: Vec<String>,
    /// Program in place of the image's entrypoint; empty for none
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) entrypoint: Option<String>,
    /// Image to create it from: its name, ID or the first digits of its ID
    #[arg(value_name = "IMAGE")]
    pub(crate) image: String,
    /// Command in place of the image's, with its arguments
    #[arg(
        value_name = "COMMAND",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    pub(crate) command: Vec<String>,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata ps`
#[derive(Debug, Args)]
pub(crate) struct Containers {
    /// Print only IDs
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Print IDs and commands in full
    #[arg(long)]
    pub(crate) no_trunc: bool,
    /// Accepted because docker needs it; no container here is ever running
    #[arg(long, short, hide = true)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata rm`
#[derive(Debug, Args)]
pub(crate) struct RemoveContainers {
    /// Containers to remove: names, IDs or the first digits of IDs
    #[arg(value_name = "CONTAINER", required = true)]
    pub(crate) names: Vec<String>,
    /// A missing container is no failure
    #[arg(long, short)]
    pub(crate) force: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata cp`
#[derive(Debug, Args)]
pub(crate) struct Copy {
    /// What to copy: PATH, CONTAINER:PATH, or `-` for a tar on stdin
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
    /// Where to: CONTAINER:PATH, PATH, or `-` for a tar on stdout
    #[arg(value_name = "DESTINATION")]
    pub(crate) destination: String,
    /// Copy what a symbolic link at the end of SOURCE leads to
    #[arg(long, short = 'L')]
    pub(crate) follow_link: bool,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// `strata diff`
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The container: its name, ID or the first digits of its ID
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata commit`
#[derive(Debug, Args)]
pub(crate) struct Commit {
    /// The container: its name, ID or the first digits of its ID
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    /// Name of the image, NAME[:TAG]
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: Option<String>,
    /// Who made it
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) author: Option<String>,
    /// Comment in the image's history
    #[arg(long, short, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// Dockerfile instruction for the image's config; repeat for more
    #[arg(long, short, value_name = "INSTRUCTION")]
    pub(crate) change: Vec<String>,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The container: its name, ID or the first digits of its ID
    #[arg(value_name = "CONTAINER")]
    pub(crate) container: String,
    /// File to write [default: stdout]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
