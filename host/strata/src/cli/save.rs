//! `strata save`, and what `strata export` has in common with it.

use std::path::Path;

use serde_json::json;
use strata::Engine;
use strata::types::Platform;

use super::Outcome;
use super::arguments::{Format, Save};
use super::meter::Metered;
use super::output::Output;
use super::shown::Shown;
use super::terminal::Terminal;
use super::wording::Work;

/// Writes an archive of images.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Save,
    platforms: Vec<Platform>,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let path = arguments.output.as_deref();
    let format = arguments.printing.format;
    to_output(
        Work::Save,
        path,
        format,
        arguments.quiet,
        terminal,
        |output| async { Ok(engine.save(arguments.names, platforms, output).await?) },
    )
    .await
}

/// Opens the output, has something written to it, and puts it in its place.
///
/// # Errors
///
/// If the output cannot be written, or why nothing could be written to it.
pub(crate) async fn to_output<F>(
    work: Work,
    path: Option<&Path>,
    format: Format,
    quiet: bool,
    terminal: &Terminal,
    write: impl FnOnce(Metered<Output>) -> F,
) -> anyhow::Result<Outcome>
where
    F: Future<Output = anyhow::Result<Metered<Output>>>,
{
    // A result beside the bytes would spoil them.
    let format = if path.is_some() { format } else { Format::Text };
    let shown = Shown::of_stream(work, format, quiet, terminal);
    let written = async {
        let output = Output::open(path, terminal)?;
        let written = write(shown.meter(None).around(output)).await?;
        let size = written.passed();
        written.into_inner().finish()?;
        Ok(size)
    }
    .await;
    let path = path.map(|path| path.to_string_lossy());
    let object = |size: &u64| json!({ "path": path, "size": size });
    shown.conclude(written, object, |_| String::new())?;
    Ok(Outcome::Done)
}
