//! `strata push`.

use strata::Engine;
use strata::types::{Platform, PushOptions};

use super::arguments::Push;
use super::credentials::Sources;
use super::pull::names;
use super::shown::Shown;
use super::terminal::Terminal;
use super::wording::Work;
use super::{Outcome, login, machine};

/// Pushes one reference and prints the canonical names of what went, one per line.
pub(crate) async fn run(
    engine: &Engine,
    arguments: Push,
    platform: Option<Platform>,
    sources: &Sources,
    terminal: &Terminal,
) -> anyhow::Result<Outcome> {
    let (format, quiet) = (arguments.printing.format, arguments.quiet);
    let shown = Shown::new(Work::Push, format, quiet, terminal);
    let pushed = async {
        let (login, reference) = (&arguments.login, &arguments.reference);
        let auth = login::credentials(login, reference, sources, terminal).await?;
        let options = PushOptions {
            reference: arguments.reference,
            all_tags: arguments.all_tags,
            platform,
            auth,
        };
        Ok(engine.push(options, shown.listener()).await?)
    }
    .await;
    shown.conclude(
        pushed,
        |done| machine::all_completed(done),
        |done| names(done),
    )?;
    Ok(Outcome::Done)
}
