//! `strata export`.

use strata::Engine;

use super::Outcome;
use super::arguments::Export;
use super::save::to_output;
use super::terminal::Terminal;
use super::wording::Work;

/// Writes a tar of a container's file system.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Export,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let path = arguments.output.as_deref();
    let format = arguments.printing.format;
    let container = &arguments.container;
    to_output(
        Work::Export,
        path,
        format,
        arguments.quiet,
        terminal,
        |output| async { Ok(engine.export(container, output).await?) },
    )
    .await
}
