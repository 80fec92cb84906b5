//! What can be said on the command line. The doc comments here are the text of `--help`.

mod archives;
mod completion;
mod containers;
mod images;
mod options;
mod serve;
mod transfer;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

use super::manual;
pub(crate) use archives::{Import, Load, Save};
pub(crate) use completion::{Completion, Man};
pub(crate) use containers::{Commit, Containers, Copy, Create, Diff, Export, RemoveContainers};
pub(crate) use images::{Check, History, Images, Inspect, Prune, Remove, Tag};
pub(crate) use options::Options;
pub(crate) use serve::Serve;
pub(crate) use transfer::{Login, Pull, Push};

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
            arguments.options.serve = std::mem::take(serve);
        }
        let platforms = arguments.options.platform.as_deref().unwrap_or_default();
        if platforms.len() > 1 && !arguments.command.takes_platforms() {
            let text = "only `pull`, `save` and `load` take more than one --platform";
            return Err(Self::command().error(ErrorKind::TooManyValues, text));
        }
        if let Command::Pull(pull) = &arguments.command
            && pull.all_platforms
            && arguments.options.platform_is_typed
        {
            let text = "--all-platforms leaves no --platform to choose";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, text));
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
    /// Push an image to a registry
    #[command(after_long_help = manual::PUSH)]
    Push(Push),
    /// List images
    #[command(visible_alias = "ls", after_long_help = manual::IMAGES)]
    Images(Images),
    /// Show images or containers in full, as JSON
    #[command(after_long_help = manual::INSPECT)]
    Inspect(Inspect),
    /// Show how an image was built
    #[command(after_long_help = manual::HISTORY)]
    History(History),
    /// Give an image another name
    #[command(after_long_help = manual::TAG)]
    Tag(Tag),
    /// Remove names, and images that lose their last one
    #[command(after_long_help = manual::RMI)]
    Rmi(Remove),
    /// Remove unused images and free their space
    #[command(after_long_help = manual::PRUNE)]
    Prune(Prune),
    /// Compare everything in the store with its digest, and repair it
    #[command(after_long_help = manual::CHECK)]
    Check(Check),
    /// Save images to an archive
    #[command(after_long_help = manual::SAVE)]
    Save(Save),
    /// Load images from an archive
    #[command(after_long_help = manual::LOAD)]
    Load(Load),
    /// Make an image from a tar of a root file system
    #[command(after_long_help = manual::IMPORT)]
    Import(Import),
    /// Create a container, which is never run, to change files of an image
    #[command(after_long_help = manual::CREATE)]
    Create(Create),
    /// List containers
    #[command(after_long_help = manual::PS)]
    Ps(Containers),
    /// Copy files into a container or out of it
    #[command(after_long_help = manual::CP)]
    Cp(Copy),
    /// Show what differs between a container and its image
    #[command(after_long_help = manual::DIFF)]
    Diff(Diff),
    /// Make an image from a container
    #[command(after_long_help = manual::COMMIT)]
    Commit(Commit),
    /// Save the file system of a container as a tar
    #[command(after_long_help = manual::EXPORT)]
    Export(Export),
    /// Remove containers
    #[command(after_long_help = manual::RM)]
    Rm(RemoveContainers),
    /// Print completions for a shell
    #[command(after_long_help = manual::COMPLETION)]
    Completion(Completion),
    /// Write manual pages, one a command
    #[command(hide = true)]
    Man(Man),
}

impl Command {
    /// Whether more than one `--platform` makes sense.
    fn takes_platforms(&self) -> bool {
        matches!(self, Command::Pull(_) | Command::Save(_) | Command::Load(_))
    }
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

/// The option of every command that prints a result.
#[derive(Debug, Args)]
pub(crate) struct Printing {
    /// Text for people, or JSON for programs
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
