//! `strata commit`.

use serde_json::json;
use strata::Engine;
use strata::types::CommitOptions;

use super::Outcome;
use super::arguments::Commit;
use super::shown::Shown;
use super::terminal::Terminal;
use super::wording::Work;

/// Makes an image from a container and prints its ID.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Commit,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let format = arguments.printing.format;
    let shown = Shown::new(Work::Commit, format, arguments.quiet, terminal);
    let options = CommitOptions {
        reference: arguments.reference,
        comment: arguments.message.unwrap_or_default(),
        author: arguments.author.unwrap_or_default(),
        changes: arguments.change,
        config: None,
    };
    let (container, listener) = (&arguments.container, shown.listener());
    let committed = engine.commit(container, options, listener).await;
    let committed = committed.map_err(Into::into);
    shown.conclude(committed, |id| json!(id), |id| format!("{id}\n"))?;
    Ok(Outcome::Done)
}
