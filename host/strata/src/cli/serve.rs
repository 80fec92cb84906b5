//! `strata serve`: runs until a signal, then lets running requests end.

use strata::Engine;
use tokio::sync::oneshot;

use super::settings::Settings;
use super::signals::Signals;
use super::terminal::Terminal;
use super::{Outcome, until_signal};

/// Serves, and returns when the server has stopped and the store is closed.
pub(crate) async fn run(
    settings: Settings,
    terminal: &Terminal,
    signals: &mut Signals,
) -> anyhow::Result<Outcome> {
    // Before the engine, so that a port in use is known at once.
    let bound = strata::bind(settings.listen).await?;
    let addresses = bound.addresses();
    let engine = until_signal(signals, async {
        Ok(Engine::new(settings.component.as_deref(), settings.capabilities).await?)
    })
    .await?;
    for address in &addresses {
        terminal.line(format_args!("listening on {address}"))?;
    }
    if let (true, Some(address)) = (terminal.reader_is_person, addresses.first()) {
        terminal.notice(format_args!(
            "to use it from another terminal: export DOCKER_HOST={address}"
        ));
    }
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = engine.serve(bound, async {
            // An error means that the sender is gone, which is a reason to stop as well.
            let _ = stopped.await;
        });
        tokio::pin!(serving);
        tokio::select! {
            ended = &mut serving => ended?,
            _ = signals.next() => {
                tracing::info!("stopping; waiting for running requests");
                let _ = stop.send(());
                // The library bounds how long this takes; a second signal is less patient.
                until_signal(signals, async { Ok(serving.await?) }).await?;
            }
        }
    }
    until_signal(signals, async { Ok(engine.close().await?) }).await?;
    Ok(Outcome::Done)
}
