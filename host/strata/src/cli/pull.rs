//! `strata pull`.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use serde_json::json;
use strata::Engine;
use strata::types::{Completed, Platform, PullOptions, RegistryAuth};

use super::arguments::{Format, Pull};
use super::bars::Bars;
use super::credential_helper::Helpers;
use super::credentials::DockerSettings;
use super::progress::{Display, Lines};
use super::reference::registry;
use super::terminal::Terminal;
use super::{Outcome, machine};

/// Passwords and tokens are shorter; more on stdin is a mistake.
const PASSWORD_LIMIT: u64 = 64 << 10;

/// Pulls one reference and prints the canonical names of what came, one per line.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Pull,
    platform: Option<Platform>,
    docker_settings: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let format = arguments.format;
    let pulled = pull(engine, arguments, platform, docker_settings, terminal).await;
    match (format, &pulled) {
        (Format::Json, Ok(completed)) => terminal.line(result(completed))?,
        (Format::Json, Err(error)) => {
            terminal.line(json!({ "error": machine::failure(error) }))?;
        }
        (Format::Text, Ok(completed)) => {
            for completed in completed {
                terminal.line(&completed.reference)?;
            }
        }
        (Format::Text, Err(_)) => {}
    }
    pulled.map(|_| Outcome::Done)
}

async fn pull(
    engine: &Engine,
    arguments: Pull,
    platform: Option<Platform>,
    docker_settings: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<Vec<Completed>> {
    let auth = match &arguments.username {
        Some(user) => RegistryAuth::Basic((user.clone(), password_from_stdin().await?)),
        None => stored(&arguments.reference, docker_settings, terminal).await?,
    };
    let display = Arc::new(Mutex::new(display(&arguments, terminal)));
    let shown = Arc::clone(&display);
    let show = move |event| lock(&shown).show(&event);
    let options = PullOptions {
        reference: arguments.reference,
        all_tags: arguments.all_tags,
        platform,
        auth,
    };
    let pulled = engine.pull(options, show).await;
    lock(&display).finish();
    Ok(pulled?)
}

/// A display that panicked shows whatever it still can.
fn lock(display: &Mutex<Display>) -> MutexGuard<'_, Display> {
    display.lock().unwrap_or_else(PoisonError::into_inner)
}

fn result(completed: &[Completed]) -> serde_json::Value {
    json!({ "result": completed.iter().map(machine::completed).collect::<Vec<_>>() })
}

fn display(arguments: &Pull, terminal: &Terminal) -> Display {
    match arguments.format {
        _ if arguments.quiet => Display::Quiet,
        Format::Json => Display::Objects(terminal.clone()),
        Format::Text if terminal.bars => Display::Bars(Bars::on_stderr()),
        Format::Text => Display::Lines(Lines::new(terminal.clone())),
    }
}

/// What `docker login` has stored for the registry of this reference.
async fn stored(
    reference: &str,
    docker_settings: Option<&Path>,
    terminal: &Terminal,
) -> anyhow::Result<RegistryAuth> {
    let Some(path) = docker_settings else {
        return Ok(RegistryAuth::Anonymous);
    };
    let settings = DockerSettings::read(path)?;
    let auth = settings
        .credentials(registry(reference), &Helpers::default(), terminal)
        .await;
    auth.with_context(|| path.display().to_string())
}

/// All of stdin, without the line break that `echo` adds.
async fn password_from_stdin() -> anyhow::Result<String> {
    let read = tokio::task::spawn_blocking(|| {
        let mut password = String::new();
        let stdin = io::Read::take(io::stdin(), PASSWORD_LIMIT);
        io::read_to_string(stdin)
            .map(|text| password.push_str(text.trim_end_matches(['\r', '\n'])))?;
        Ok::<_, io::Error>(password)
    });
    let password = read.await?.context("cannot read the password from stdin")?;
    anyhow::ensure!(!password.is_empty(), "there is no password on stdin");
    Ok(password)
}
