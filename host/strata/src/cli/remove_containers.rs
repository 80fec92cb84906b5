//! `strata rm`.

use strata::Engine;
use strata::types::Error;

use super::arguments::{Format, RemoveContainers};
use super::terminal::Terminal;
use super::{Outcome, sentence};

/// Removes each container, prints its name, and goes on after a failure. With `--force`, one that
/// is not there is none.
pub(crate) async fn run(
    engine: &Engine,
    arguments: RemoveContainers,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let format = arguments.printing.format;
    let mut outcome = Outcome::Done;
    let mut removed = Vec::new();
    for name in arguments.names {
        match engine.remove_container(&name).await {
            Ok(()) => {
                if format == Format::Text {
                    terminal.line(&name)?;
                }
                removed.push(name);
            }
            Err(error) => {
                let missing = matches!(error, strata::Error::Image(Error::NotFound(_)));
                if !(missing && arguments.force) {
                    outcome = Outcome::Failed;
                }
                terminal.notice(format_args!("strata: {}", sentence(&error.into())));
            }
        }
    }
    if format == Format::Json {
        terminal.line(format_args!("{:#}", serde_json::Value::from(removed)))?;
    }
    Ok(outcome)
}
