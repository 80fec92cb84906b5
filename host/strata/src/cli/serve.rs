//! `strata serve`: runs until a signal, then lets running requests end.

use std::io;

use strata::{Access, Tls};
use tokio::{
    signal::unix::{self, SignalKind},
    sync::oneshot,
};

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
    raise_descriptors();
    let access = Access {
        tls: settings.tls.map(Tls::new).transpose()?,
        allowed_hosts: settings.allowed_hosts,
    };
    let tls = access.tls.clone();
    // Before the engine, so that a port in use is known at once.
    let bound = strata::bind(settings.listen, access).await?;
    let addresses = bound.addresses();
    let starting = super::start(
        settings.component.as_deref(),
        settings.capabilities,
        terminal,
    );
    let engine = until_signal(signals, starting).await?;
    for address in &addresses {
        terminal.line(format_args!("listening on {address}"))?;
    }
    if let Some(address) = addresses.first() {
        terminal.line(format_args!("{}", invitation(address, tls.is_some())))?;
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
            ended = reloading(tls) => ended?,
            _ = signals.next() => {
                tracing::info!("stopping; waiting for running requests");
                let _ = stop.send(());
                // The library bounds how long this takes; a second signal is less patient.
                until_signal(signals, async { Ok(serving.await?) }).await?;
            }
        }
    }
    until_signal(signals, async {
        super::close(engine).await;
        Ok(())
    })
    .await?;
    Ok(Outcome::Done)
}

/// What to type to have the docker CLI use `address`: a context for a place that stays, variables
/// for one of this run.
fn invitation(address: &str, tls: bool) -> String {
    if address.starts_with("unix://") {
        return format!(
            "to use it: docker context create strata --docker host={address} && docker context use strata"
        );
    }
    match tls {
        true => format!(
            "to use it: export DOCKER_HOST={address} DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=~/.docker"
        ),
        false => format!("to use it: export DOCKER_HOST={address}"),
    }
}

/// Has certificates read again at each SIGHUP. Without any, that signal keeps its meaning: the
/// terminal is gone.
async fn reloading(tls: Option<Tls>) -> io::Result<()> {
    let Some(tls) = tls else {
        return std::future::pending().await;
    };
    let mut signals = unix::signal(SignalKind::hangup())?;
    loop {
        if signals.recv().await.is_none() {
            return std::future::pending().await;
        }
        match tls.reload() {
            Ok(()) => tracing::info!("certificates were read again"),
            Err(error) => {
                tracing::error!("certificates were not changed, those read before stay: {error}");
            }
        }
    }
}

/// A connection is a descriptor, and so is each file that is read. The usual limit, 1024, is meant
/// for programs that cannot deal with more.
fn raise_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::debug!("cannot raise the number of open files: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_invitation_fits_the_address() {
        for (address, tls, words) in [
            (
                "unix:///run/s.sock",
                true,
                "docker context create strata --docker host=unix:///run/s.sock",
            ),
            (
                "tcp://127.0.0.1:1",
                false,
                "export DOCKER_HOST=tcp://127.0.0.1:1",
            ),
            ("tcp://127.0.0.1:1", true, "DOCKER_TLS_VERIFY=1"),
        ] {
            assert!(invitation(address, tls).contains(words), "{address}");
        }
        assert!(!invitation("tcp://127.0.0.1:1", false).contains("TLS"));
    }
}
