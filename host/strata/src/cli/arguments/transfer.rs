//! Commands that talk to registries.

use clap::Args;

use super::Printing;

/// Who one is at a registry.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// User name at the registry, instead of the docker CLI's credentials
    #[arg(
        long,
        short,
        value_name = "NAME",
        env = "STRATA_USERNAME",
        hide_env_values = true,
        requires = "password_stdin"
    )]
    pub(crate) username: Option<String>,
    /// Read the password or token from stdin
    #[arg(long, requires = "username")]
    pub(crate) password_stdin: bool,
}

/// `strata pull`
#[derive(Debug, Args)]
pub(crate) struct Pull {
    /// Image to pull, NAME[:TAG][@DIGEST]; the tag `latest` where none is given
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,
    /// Pull every tag of the repository
    #[arg(long, short)]
    pub(crate) all_tags: bool,
    /// Pull what the image has for every platform, as a push of the whole image needs it
    #[arg(long)]
    pub(crate) all_platforms: bool,
    /// Print only the name of what was pulled
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) login: Login,
    #[command(flatten)]
    pub(crate) printing: Printing,
}

/// `strata push`
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Image to push, NAME[:TAG]; the tag `latest` where none is given
    #[arg(value_name = "REFERENCE")]
    pub(crate) reference: String,
    /// Push every tag of the repository that is here
    #[arg(long, short)]
    pub(crate) all_tags: bool,
    /// Print only the name of what was pushed
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) login: Login,
    #[command(flatten)]
    pub(crate) printing: Printing,
}
