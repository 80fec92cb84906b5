//! What can be said on the command line. The doc comments here are the text of `--help`.

mod options;

use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use strata::Listener;

use super::manual;
pub(crate) use options::Options;

/// A container-image engine in a WebAssembly sandbox
///
/// strata pulls, lists and serves container images. Registry answers, manifests and configs are
/// read in a sandbox; images are kept in an OCI image layout that other tools can read as well.
/// No daemon is needed: every command works on the store directly, also while `strata serve`
/// runs on the same store.
#[derive(Debug, Parser)]
#[command(name = "strata", version, after_long_help = manual::STRATA)]
#[command(
    max_term_width = 100,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) options: Options,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Arguments {
    /// Those of this process. Ends the process where they make no sense or ask for help.
    pub(crate) fn from_command_line() -> Arguments {
        Self::parse_from_words(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Parses the words of a command line, the program's name first.
    pub(crate) fn parse_from_words<W: Into<std::ffi::OsString> + Clone>(
        words: impl IntoIterator<Item = W>,
    ) -> Result<Arguments, clap::Error> {
        let matches = Self::command().try_get_matches_from(words)?;
        let mut arguments = Self::from_arg_matches(&matches)?;
        arguments.options.platform_is_typed =
            matches.value_source("platform") == Some(ValueSource::CommandLine);
        if let Command::Serve(serve) = &mut arguments.command {
            arguments.options.listen = serve.listen.take();
        }
        Ok(arguments)
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the Docker image API
    #[command(after_long_help = manual::SERVE)]
    Serve(Serve),
    /// Pull an image from a registry
    #[command(after_long_help = manual::PULL)]
    Pull(Pull),
    /// List images
    #[command(visible_alias = "ls", after_long_help = manual::IMAGES)]
    Images(Images),
    /// Show images in full, as JSON
    #[command(after_long_help = manual::INSPECT)]
    Inspect(Inspect),
    /// Show how an image was built
    #[command(after_long_help = manual::HISTORY)]
    History(History),
    /// Give an image another name
    #[command(after_long_help = manual::TAG)]
    Tag(Tag),
    /// Remove names, and images that lose their last one
    #[command(visible_alias = "rm", after_long_help = manual::RMI)]
    Rmi(Remove),
    /// Remove unused images and free their space
    #[command(after_long_help = manual::PRUNE)]
    Prune(Prune),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    #[default]
    Text,
    /// For programs
    Json,
}

/// `strata serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address to listen on, tcp://HOST:PORT or unix:///PATH; repeat for more
    ///
    /// Port 0 takes a free one. TCP addresses must be on the loopback interface: who reaches
    /// the API may pull and delete images, and it asks for no password.
    ///
    /// [default: tcp://127.0.0.1:2375, and unix://$XDG_RUNTIME_DIR/strata.sock where that is set]
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "STRATA_LISTEN",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) listen: Option<Vec<Listener>>,
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
    /// Print only the name of what was pulled
    #[arg(long, short)]
    pub(crate) quiet: bool,
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
    /// Progress for people, or one JSON object per line
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STRATA_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) format: Format,
}

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
    /// A table for people, or a JSON array
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STRATA_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) format: Format,
}

/// `strata inspect`
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// Images to show: names, IDs or the first digits of IDs
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
    /// A table for people, or a JSON array
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STRATA_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) format: Format,
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
    /// Lines for people, or a JSON array
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STRATA_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) format: Format,
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
    /// Lines for people, or a JSON object
    #[arg(
        long,
        value_name = "FORMAT",
        env = "STRATA_FORMAT",
        hide_env_values = true,
        default_value = "text"
    )]
    pub(crate) format: Format,
}

#[cfg(test)]
mod tests;
