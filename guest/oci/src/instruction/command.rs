//! The instructions themselves: what each takes, and what it does to a config.

use super::{
    InstructionError, MAX_EXPOSED, environment::Environment, expand::Expansion, healthcheck,
    invalid, line::Line, port, signal,
};
use crate::config::{ContainerConfig, Empty, Healthcheck};

/// What runs a command in shell form if the config has no shell.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// An instruction that parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Cmd(CommandLine),
    Entrypoint(CommandLine),
    Env(Vec<(String, String)>),
    Expose(Vec<String>),
    Healthcheck(Healthcheck),
    Label(Vec<(String, String)>),
    OnBuild(String),
    StopSignal(String),
    User(String),
    Volume(Vec<String>),
    WorkDir(String),
}

/// The arguments of `CMD` and `ENTRYPOINT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CommandLine {
    /// A JSON array.
    Exec(Vec<String>),
    /// A line for the shell; `None` if nothing was given.
    Shell(Option<String>),
}

/// What commands work on.
pub(super) struct Build<'a> {
    pub(super) config: &'a mut ContainerConfig,
    /// Stands for the config's own, which is taken out meanwhile.
    pub(super) environment: Environment,
    pub(super) expansion: Expansion,
    /// Whether a `CMD` came before.
    pub(super) is_cmd_set: bool,
    /// Ports exposed so far, repeated ones included.
    pub(super) exposed: usize,
}

impl Command {
    /// Reads a line's arguments.
    pub(super) fn new(line: Line) -> Result<Self, InstructionError> {
        let command = match line.word.to_ascii_lowercase().as_str() {
            "cmd" => Self::Cmd(command_line(&line)?),
            "entrypoint" => Self::Entrypoint(command_line(&line)?),
            "env" => Self::Env(pairs(line, "ENV")?),
            "expose" => {
                let mut ports = some(line.arguments, "EXPOSE")?;
                no_flags(&line.flags)?;
                ports.sort_unstable();
                Self::Expose(ports)
            }
            "healthcheck" => Self::Healthcheck(healthcheck::read(&line)?),
            "label" => Self::Label(pairs(line, "LABEL")?),
            "onbuild" => Self::OnBuild(trigger(line)?),
            // Like dockerd this does not care for flags.
            "stopsignal" => Self::StopSignal(one(line.arguments, "STOPSIGNAL")?),
            "user" => {
                let user = one(line.arguments, "USER")?;
                no_flags(&line.flags)?;
                Self::User(user)
            }
            "volume" => {
                let volumes = some(line.arguments, "VOLUME")?;
                no_flags(&line.flags)?;
                let volumes = volumes.iter().map(|path| volume(path.trim()));
                Self::Volume(volumes.collect::<Result<_, _>>()?)
            }
            "workdir" => {
                let path = one(line.arguments, "WORKDIR")?;
                no_flags(&line.flags)?;
                Self::WorkDir(path)
            }
            _ => return Err(InstructionError::NotAllowed(line.word)),
        };
        Ok(command)
    }
}

impl Build<'_> {
    /// Does what a command says.
    pub(super) fn apply(&mut self, command: Command) -> Result<(), InstructionError> {
        match command {
            Command::Cmd(line) => {
                let is_given = !matches!(&line, CommandLine::Shell(None))
                    && line != CommandLine::Exec(Vec::new());
                self.is_cmd_set |= is_given;
                self.config.cmd = Some(match line {
                    CommandLine::Exec(words) => words,
                    CommandLine::Shell(line) => self.in_shell(line),
                });
                self.config.args_escaped = false;
            }
            Command::Entrypoint(line) => {
                self.config.entrypoint = match line {
                    CommandLine::Exec(words) => (!words.is_empty()).then_some(words),
                    CommandLine::Shell(None) => None,
                    CommandLine::Shell(line) => Some(self.in_shell(line)),
                };
                self.config.args_escaped = false;
                // An inherited command was meant for another program.
                if !self.is_cmd_set {
                    self.config.cmd = None;
                }
            }
            // All are expanded before the first is set.
            Command::Env(pairs) => {
                for (name, value) in self.expand_pairs(&pairs)? {
                    self.environment.set(&name, &value);
                }
            }
            Command::Label(pairs) => {
                let pairs = self.expand_pairs(&pairs)?;
                self.config.labels.get_or_insert_default().extend(pairs);
            }
            Command::Expose(specs) => {
                for spec in specs {
                    for spec in self.expansion.words(&spec, &self.environment)? {
                        let ports = port::exposed(&spec)?;
                        self.exposed = self.exposed.saturating_add(ports.len());
                        if self.exposed > MAX_EXPOSED {
                            return Err(InstructionError::TooMuch(format!(
                                "the changes expose more than {MAX_EXPOSED} ports, those named again included"
                            )));
                        }
                        let exposed = self.config.exposed_ports.get_or_insert_default();
                        exposed.extend(ports.map(|port| (port, Empty {})));
                    }
                }
            }
            Command::Healthcheck(check) => self.config.healthcheck = Some(check),
            Command::OnBuild(trigger) => {
                self.config.on_build.get_or_insert_default().push(trigger);
            }
            Command::StopSignal(signal) => {
                let signal = self.expand(&signal)?;
                signal::check(&signal)?;
                self.config.stop_signal = Some(signal);
            }
            Command::User(user) => self.config.user = self.expand(&user)?,
            Command::Volume(paths) => {
                for path in paths {
                    let path = volume(&self.expand(&path)?)?;
                    let volumes = self.config.volumes.get_or_insert_default();
                    volumes.insert(path, Empty {});
                }
            }
            Command::WorkDir(path) => {
                let path = self.expand(&path)?;
                if path.is_empty() {
                    return Err(invalid("cannot normalize nothing"));
                }
                self.config.working_dir = joined(&self.config.working_dir, &path);
            }
        }
        Ok(())
    }

    fn expand(&mut self, word: &str) -> Result<String, InstructionError> {
        self.expansion.word(word, &self.environment)
    }

    fn expand_pairs(
        &mut self,
        pairs: &[(String, String)],
    ) -> Result<Vec<(String, String)>, InstructionError> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, value)| Ok((self.expand(name)?, self.expand(value)?)))
            .collect()
    }

    fn in_shell(&self, line: Option<String>) -> Vec<String> {
        let shell = self.config.shell.clone().filter(|shell| !shell.is_empty());
        let mut words = shell.unwrap_or_else(|| DEFAULT_SHELL.map(str::to_owned).to_vec());
        words.extend(line);
        words
    }
}

fn command_line(line: &Line) -> Result<CommandLine, InstructionError> {
    no_flags(&line.flags)?;
    Ok(match line.is_json {
        true => CommandLine::Exec(line.arguments.clone()),
        false => CommandLine::Shell(line.arguments.first().cloned()),
    })
}

fn pairs(line: Line, instruction: &str) -> Result<Vec<(String, String)>, InstructionError> {
    no_flags(&line.flags)?;
    let arguments = some(line.arguments, instruction)?;
    let pairs = arguments.chunks_exact(2).map(|pair| match pair {
        [name, value] if !name.is_empty() => Ok((name.clone(), value.clone())),
        _ => Err(invalid(format!("{instruction} names can not be blank"))),
    });
    pairs.collect()
}

/// The instruction an `ONBUILD` keeps, as written.
fn trigger(line: Line) -> Result<String, InstructionError> {
    let arguments = some(line.arguments, "ONBUILD")?;
    no_flags(&line.flags)?;
    let word = arguments.first().map(|word| word.to_ascii_uppercase());
    match word.as_deref().unwrap_or_default() {
        "ONBUILD" => {
            return Err(invalid(
                "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed",
            ));
        }
        word @ ("MAINTAINER" | "FROM") => {
            return Err(invalid(format!(
                "{word} isn't allowed as an ONBUILD trigger"
            )));
        }
        _ => {}
    }
    let line = line.original.trim_start();
    Ok(line
        .get("ONBUILD".len()..)
        .unwrap_or_default()
        .trim_start()
        .to_owned())
}

fn volume(path: &str) -> Result<String, InstructionError> {
    match path.is_empty() {
        true => Err(invalid("VOLUME specified can not be an empty string")),
        false => Ok(path.to_owned()),
    }
}

/// `path` seen from `current`, absolute and without `.`, `..`, doubled or trailing slashes.
fn joined(current: &str, path: &str) -> String {
    let current = match path.starts_with('/') {
        true => "",
        false => current,
    };
    let mut clean: Vec<&str> = Vec::new();
    for component in current.split('/').chain(path.split('/')) {
        match component {
            "" | "." => {}
            ".." => drop(clean.pop()),
            name => clean.push(name),
        }
    }
    format!("/{}", clean.join("/"))
}

fn some(arguments: Vec<String>, instruction: &str) -> Result<Vec<String>, InstructionError> {
    match arguments.is_empty() {
        true => Err(invalid(format!(
            "{instruction} requires at least one argument"
        ))),
        false => Ok(arguments),
    }
}

fn one(arguments: Vec<String>, instruction: &str) -> Result<String, InstructionError> {
    let argument = arguments.into_iter().next();
    argument.ok_or_else(|| invalid(format!("{instruction} requires exactly one argument")))
}

/// Refuses flags, for all instructions that have none.
fn no_flags(flags: &[String]) -> Result<(), InstructionError> {
    match flags.first() {
        Some(flag) => {
            let name = flag.split_once('=').map_or(flag.as_str(), |(name, _)| name);
            Err(invalid(format!("unknown flag: {name}")))
        }
        None => Ok(()),
    }
}
