//! `strata pull`.

use strata::Engine;
use strata::types::{Completed, Platform, PullOptions};

use super::arguments::Pull;
use super::credentials::Sources;
use super::shown::Shown;
use super::terminal::Terminal;
use super::wording::Work;
use super::{Outcome, login, machine};

/// Pulls one reference and prints the canonical names of what came, one per line.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Pull,
    platforms: Vec<Platform>,
    sources: &Sources,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let (format, quiet) = (arguments.printing.format, arguments.quiet);
    let shown = Shown::new(Work::Pull, format, quiet, terminal);
    let pulled = async {
        let (login, reference) = (&arguments.login, &arguments.reference);
        let auth = login::credentials(login, reference, sources, terminal).await?;
        let options = PullOptions {
            reference: arguments.reference,
            all_tags: arguments.all_tags,
            platforms,
            all_platforms: arguments.all_platforms,
            auth,
        };
        Ok(engine.pull(options, shown.listener()).await?)
    }
    .await;
    shown.conclude(
        pulled,
        |done| machine::all_completed(done),
        |done| names(done),
    )?;
    Ok(Outcome::Done)
}

/// Canonical names, one per line.
pub(crate) fn names(completed: &[Completed]) -> String {
    let names = completed.iter().map(|done| format!("{}\n", done.reference));
    names.collect()
}
