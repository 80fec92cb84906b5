//! `strata rmi`.

use strata::Engine;
use strata::types::{Error, Removal};

use super::arguments::{Format, Remove};
use super::terminal::Terminal;
use super::{Outcome, machine, sentence};

/// Removes each image and goes on after a failure. With `--force`, one that is not there is none.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Remove,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::Done;
    let mut all = Vec::new();
    for name in &arguments.names {
        match engine.remove(name, arguments.force, Vec::new()).await {
            Ok(removals) => {
                if arguments.printing.format == Format::Text {
                    removals
                        .iter()
                        .try_for_each(|removal| terminal.line(line(removal)))?;
                }
                all.extend(removals);
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
    if arguments.printing.format == Format::Json {
        let all: Vec<_> = all.iter().map(machine::removal).collect();
        terminal.line(format_args!("{:#}", serde_json::Value::from(all)))?;
    }
    Ok(outcome)
}

fn line(removal: &Removal) -> String {
    match removal {
        Removal::Untagged(name) => format!("Untagged: {name}"),
        Removal::Deleted(digest) => format!("Deleted: {digest}"),
    }
}
