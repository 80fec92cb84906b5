//! The command line of strata.
//!
//! Reading order: [`arguments`] (what can be said), [`settings`] (where values come from), then
//! one module per command. Commands print through a [`terminal::Terminal`], never by `println!`,
//! so that their output can be tested.

mod age;
mod arguments;
mod bars;
mod check;
mod commit;
mod completion;
mod containers;
mod copy;
mod create;
mod credential_helper;
mod credentials;
mod diff;
mod export;
mod filter;
mod history;
mod images;
mod import;
mod input;
mod inspect;
mod json;
mod load;
mod login;
mod machine;
mod manual;
mod meter;
mod output;
mod platform;
mod progress;
mod prune;
mod pull;
mod push;
mod reference;
mod remove;
mod remove_containers;
mod save;
mod serve;
mod settings;
mod settings_file;
mod shown;
mod signals;
mod size;
mod surroundings;
mod table;
mod tag;
mod terminal;
mod wording;

use std::future::Future;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use strata::{Capabilities, Engine};
use tracing::Level;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    filter::{Targets, filter_fn},
    fmt::writer::BoxMakeWriter,
    prelude::*,
};

use arguments::{Arguments, Command};
use settings::Settings;
use signals::{Signal, Signals};
use surroundings::Surroundings;
use terminal::Terminal;

/// The command line or the settings file makes no sense; clap uses the same number.
const EXIT_USAGE: u8 = 2;
/// `strata check` mended all it found.
const EXIT_REPAIRED: u8 = 3;
/// `strata check` found what is not mended.
const EXIT_DAMAGED: u8 = 4;
/// Lines of a server's log that wait to be written.
const LOG_LINES: usize = 10_000;
/// What shells report for a program that signal `n` ended is this plus `n`.
const EXIT_SIGNAL: u8 = 128;

/// What a command that ran to its end has to say about its success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Everything asked for was done.
    Done,
    /// Some of it was not; the command has already said why.
    Failed,
    /// The store had faults, and has none any more.
    Repaired,
    /// The store has faults.
    Damaged,
}

/// What was asked for makes no sense, which only became clear after the words were parsed.
#[derive(Debug)]
struct Usage(anyhow::Error);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&sentence(&self.0))
    }
}

impl std::error::Error for Usage {}

/// A signal ended the command.
#[derive(Debug)]
struct Interrupted(Signal);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "interrupted; what a pull has fetched is kept, and the next one continues there",
        )
    }
}

impl std::error::Error for Interrupted {}

/// Tasks after which a thread looks for what came from outside: where as many compute as there are threads, each
/// of them runs for some 5 ms at a time, and a ping would wait for tokio's own 61.
const EVENT_INTERVAL: u32 = 4;

/// Runs the command the process was started with.
pub(crate) fn run() -> ExitCode {
    let terminal = Terminal::standard();
    let arguments = Arguments::from_command_line();
    match &arguments.command {
        Command::Completion(to) => return exit_code(completion::print(to.shell), &terminal),
        Command::Man(to) => return exit_code(completion::write_pages(&to.folder), &terminal),
        _ => {}
    }
    let serves = matches!(arguments.command, Command::Serve(_));
    let started = Settings::resolve(&arguments.options, &Surroundings::of_process())
        .and_then(|settings| Ok((start_log(&settings.log, serves)?, settings)))
        .map_err(|error| Usage(error).into());
    // The log is written to the end when its guard is dropped.
    let outcome = started.and_then(|(_log, settings)| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .event_interval(EVENT_INTERVAL)
            .build()
            .context("cannot start the runtime")?;
        let outcome = runtime.block_on(dispatch(arguments, settings, &terminal));
        // A thread that waits for an answer on stdin must not keep the process alive.
        runtime.shutdown_background();
        outcome
    });
    exit_code(outcome, &terminal)
}

/// Diagnostics go to stderr: stdout belongs to the command's own output. Nobody whom a server serves waits for
/// whoever reads its log: what does not fit is lost.
fn start_log(filter: &str, serves: bool) -> anyhow::Result<Option<WorkerGuard>> {
    let levels = levels(filter)?;
    // <https://no-color.org>
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let (writer, guard) = match serves {
        true => {
            let lines = NonBlockingBuilder::default().buffered_lines_limit(LOG_LINES);
            let (lines, guard) = lines.lossy(true).finish(io::stderr());
            (BoxMakeWriter::new(lines), Some(guard))
        }
        false => (BoxMakeWriter::new(io::stderr), None),
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_writer(writer);
    tracing_subscriber::registry()
        .with(levels)
        .with(filter_fn(|it| may_be_logged(it.target(), *it.level())))
        .with(lines)
        .init();
    Ok(guard)
}

/// What a filter wants logged: of an empty one, errors.
fn levels(filter: &str) -> anyhow::Result<Targets> {
    match filter {
        "" => Ok(Targets::new().with_default(Level::ERROR)),
        // The parser's own message repeats itself.
        filter => filter.parse().map_err(|_| {
            anyhow::anyhow!(
                "`{filter}` is not a log filter, such as info or warn,strata_store=debug"
            )
        }),
    }
}

/// Whether something may be logged if the filter wants it. The finest level of the libraries
/// shows the arguments of calls, and so the headers of requests, credentials included.
fn may_be_logged(target: &str, level: Level) -> bool {
    level < Level::TRACE || target.starts_with("strata")
}

/// The engine. What takes long is said: a component that is not the one in the binary is compiled first.
async fn start(
    component: Option<&Path>,
    capabilities: Capabilities,
    terminal: &Terminal,
) -> anyhow::Result<Engine> {
    if let Some(component) = component {
        terminal.notice(format_args!(
            "compiling {}, which takes some seconds",
            component.display()
        ));
    }
    Ok(Engine::new(component, capabilities).await?)
}

async fn dispatch(
    arguments: Arguments,
    settings: Settings,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let mut signals = Signals::install().context("cannot watch for signals")?;
    let command = match arguments.command {
        Command::Serve(_) => return serve::run(settings, terminal, &mut signals).await,
        Command::Check(check) => {
            check::refuse_no_store(&settings.capabilities.store)?;
            Command::Check(check)
        }
        command => command,
    };
    let starting = start(
        settings.component.as_deref(),
        settings.capabilities,
        terminal,
    );
    let engine = until_signal(&mut signals, starting).await?;
    let platforms = settings.exact_platforms;
    let credentials = &settings.credentials;
    let outcome = until_signal(&mut signals, async {
        let engine = &engine;
        // Where one is taken, there is at most one.
        let exact = platforms.first().cloned();
        match command {
            // Answered above, where it can drain instead of being dropped.
            Command::Serve(_) | Command::Completion(_) | Command::Man(_) => Ok(Outcome::Done),
            Command::Pull(pull) => pull::run(engine, pull, platforms, credentials, terminal).await,
            Command::Push(push) => push::run(engine, push, exact, credentials, terminal).await,
            Command::Images(images) => images::run(engine, images, terminal).await,
            Command::Inspect(inspect) => inspect::run(engine, inspect, exact, terminal).await,
            Command::History(history) => history::run(engine, history, exact, terminal).await,
            Command::Tag(tag) => tag::run(engine, tag).await,
            Command::Rmi(remove) => remove::run(engine, remove, terminal).await,
            Command::Prune(prune) => prune::run(engine, prune, terminal).await,
            Command::Check(check) => check::run(engine, check, credentials, terminal).await,
            Command::Save(save) => save::run(engine, save, platforms, terminal).await,
            Command::Load(load) => load::run(engine, load, platforms, terminal).await,
            Command::Import(import) => import::run(engine, import, exact, terminal).await,
            Command::Create(create) => create::run(engine, create, exact, terminal).await,
            Command::Ps(containers) => containers::run(engine, containers, terminal).await,
            Command::Cp(copy) => copy::run(engine, copy, terminal).await,
            Command::Diff(diff) => diff::run(engine, diff, terminal).await,
            Command::Commit(commit) => commit::run(engine, commit, terminal).await,
            Command::Export(export) => export::run(engine, export, terminal).await,
            Command::Rm(remove) => remove_containers::run(engine, remove, terminal).await,
        }
    })
    .await;
    // An interrupted operation was dropped, which cancels it; closing makes what it had durable.
    let closed = until_signal(&mut signals, async {
        close(engine).await;
        Ok(())
    })
    .await;
    let outcome = outcome?;
    closed?;
    Ok(outcome)
}

/// Brings the store's layout up to date. What was done is done without it, so a command has not failed.
async fn close(engine: Engine) {
    if let Err(error) = engine.close().await {
        tracing::warn!(%error, "index.json is out of date; the next start brings it up to date");
    }
}

/// Runs `work` unless a signal comes first.
async fn until_signal<T>(
    signals: &mut Signals,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    tokio::select! {
        done = work => done,
        signal = signals.next() => Err(Interrupted(signal).into()),
    }
}

fn exit_code(outcome: anyhow::Result<Outcome>, terminal: &Terminal) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Ok(Outcome::Repaired) => ExitCode::from(EXIT_REPAIRED),
        Ok(Outcome::Damaged) => ExitCode::from(EXIT_DAMAGED),
        // Whoever read our output has seen enough (`strata images | head`).
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.notice(format_args!("strata: {}", sentence(&error)));
            if let Some(Interrupted(signal)) = error.downcast_ref() {
                return ExitCode::from(EXIT_SIGNAL + signal.number());
            }
            match error.is::<Usage>() {
                true => ExitCode::from(EXIT_USAGE),
                false => ExitCode::FAILURE,
            }
        }
    }
}

/// An error with its causes, leaving out those that the text before them already ends with.
fn sentence(error: &anyhow::Error) -> String {
    let mut sentence = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !sentence.ends_with(&cause) {
            sentence.push_str(": ");
            sentence.push_str(&cause);
        }
    }
    sentence
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let cause = || io::Error::other("no such file");
        let error = anyhow::Error::new(cause()).context("cannot read the component: no such file");
        assert_eq!(sentence(&error), "cannot read the component: no such file");
        let error = anyhow::Error::new(cause()).context("cannot read the settings");
        assert_eq!(sentence(&error), "cannot read the settings: no such file");
    }

    #[test]
    fn a_log_filter_names_levels_and_modules() {
        for (filter, target, level, logged) in [
            ("", "strata", Level::ERROR, true),
            ("", "strata", Level::WARN, false),
            ("warn", "hyper", Level::WARN, true),
            ("warn", "hyper", Level::INFO, false),
            ("off", "strata", Level::ERROR, false),
            (
                "warn,strata_store=debug",
                "strata_store::open",
                Level::DEBUG,
                true,
            ),
            ("warn,strata_store=debug", "strata", Level::DEBUG, false),
            ("strata_store=debug", "strata", Level::ERROR, false),
        ] {
            let levels = levels(filter).unwrap();
            assert_eq!(
                levels.would_enable(target, &level),
                logged,
                "{filter} {target}"
            );
        }
        assert!(levels("strata=loud").is_err());
    }

    #[test]
    fn what_shows_the_headers_of_requests_is_not_logged() {
        for (target, level, logged) in [
            ("wasmtime_wasi_http::p3::bindings", Level::TRACE, false),
            ("h2::codec", Level::TRACE, false),
            ("h2::codec", Level::DEBUG, true),
            ("strata::serve", Level::TRACE, true),
            ("strata_store", Level::TRACE, true),
            ("hyper", Level::ERROR, true),
        ] {
            assert_eq!(may_be_logged(target, level), logged, "{target} {level}");
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let (terminal, captured) = terminal::tests::captured();
        let error = anyhow::Error::new(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!(exit_code(Err(error), &terminal), ExitCode::SUCCESS);
        assert_eq!(captured.remarks(), "");
    }

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let (terminal, captured) = terminal::tests::captured();
        let code = |error: anyhow::Error| exit_code(Err(error), &terminal);
        assert_eq!(code(anyhow::anyhow!("broken")), ExitCode::FAILURE);
        assert_eq!(
            code(Usage(anyhow::anyhow!("odd")).into()),
            ExitCode::from(2)
        );
        assert_eq!(
            code(Interrupted(Signal::Interrupt).into()),
            ExitCode::from(130)
        );
        assert_eq!(
            code(Interrupted(Signal::Terminate).into()),
            ExitCode::from(143)
        );
        assert!(
            captured
                .remarks()
                .starts_with("strata: broken\nstrata: odd\n")
        );
    }
}
