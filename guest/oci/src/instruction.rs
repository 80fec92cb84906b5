//! Dockerfile instructions that change a container config: `--change` of `docker import` and `docker commit`.
//!
//! <https://docs.docker.com/reference/dockerfile/>
//!
//! Three steps, each over everything before the next begins: text to lines, lines to typed commands, and commands to
//! changes of the config, where variables are expanded. So a mistake in the last line changes nothing, unless it is one
//! that only shows when a variable is known.
//!
//! Not read: heredocs, which could only stand in an `ONBUILD`, and the patterns of `${X#…}`, `${X%…}` and `${X/…/…}`.

use crate::config::ContainerConfig;

mod command;
mod environment;
mod expand;
mod healthcheck;
mod line;
mod port;
mod signal;
mod word;

use command::{Build, Command};
use environment::Environment;
use expand::Expansion;

/// The most bytes all instructions together may have. The largest Dockerfiles have a hundred thousand.
pub const MAX_CHANGES_BYTES: usize = 1024 * 1024;
/// The most bytes of one line, as in dockerd's line reader.
pub const MAX_LINE_BYTES: usize = 65_535;

/// The most ports all `EXPOSE` together may name, repeated ones included: each of 65,536 by each of three protocols. A
/// range is a few bytes and many ports.
pub const MAX_EXPOSED: usize = 3 * 65_536;

/// Why instructions are refused. The texts are dockerd's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstructionError {
    /// An instruction that changes more than a config, or none at all.
    #[error("{0} is not a valid change command")]
    NotAllowed(String),
    /// An instruction that does not parse.
    #[error("{0}")]
    Invalid(String),
    /// Instructions that go beyond a bound.
    #[error("{0}")]
    TooMuch(String),
}

/// Applies `changes` to `config`: joined with newlines and read as a Dockerfile, with comments, continued lines and the
/// `escape` directive; no variables are expanded but those `config.env` has, as in a build. No changes change nothing.
///
/// # Errors
/// [`InstructionError`]; `config` may have been changed in part then.
pub fn apply(changes: &[String], config: &mut ContainerConfig) -> Result<(), InstructionError> {
    if changes.is_empty() {
        return Ok(());
    }
    let size: usize = changes.iter().map(|change| change.len() + 1).sum();
    if size > MAX_CHANGES_BYTES {
        return Err(InstructionError::TooMuch(format!(
            "the changes have {size} bytes, the limit is {MAX_CHANGES_BYTES}"
        )));
    }
    let file = line::read(&changes.join("\n"))?;
    let commands = file.lines.into_iter().map(Command::new);
    let commands: Vec<Command> = commands.collect::<Result<_, _>>()?;
    let mut build = Build {
        environment: Environment::new(config.env.take()),
        config,
        expansion: Expansion::new(file.escape),
        is_cmd_set: false,
        exposed: 0,
    };
    let mut commands = commands.into_iter();
    let result = commands.try_for_each(|command| build.apply(command));
    build.config.env = build.environment.into_entries();
    result
}

fn invalid(message: impl Into<String>) -> InstructionError {
    InstructionError::Invalid(message.into())
}

#[cfg(test)]
mod tests;
