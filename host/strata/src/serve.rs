//! Serving the component: accepts connections and pumps requests into it.

mod answer;
mod answering;
mod bulk;
mod clients;
mod company;
mod connection;
mod desk;
mod framing;
mod gather;
mod guard;
mod head;
mod inherited;
mod instances;
mod intake;
mod lanes;
mod listener;
mod operation;
mod outcome;
mod own;
mod patience;
#[cfg(test)]
mod served;
mod slots;
mod socket;
mod switch;
mod target;
mod tls;
mod trimming;
#[cfg(test)]
mod turned_away;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::task::JoinSet;
use wasmtime_wasi_http::{WasiBody, p3::bindings::ServicePre};

#[cfg(test)]
pub(crate) use served::served;

pub use listener::{Access, Bound, Listener, bind};
pub use tls::{Tls, TlsFiles};

use crate::{Engine, Error, Result, instance::Alone};
use answering::Answering;
use connection::Rules;
use operation::Closing;
use slots::Slots;

/// How long running requests may go on after a shutdown was asked for. What they
/// leave then is resumable.
const GRACE: Duration = Duration::from_secs(10);

impl Engine {
    /// Serves the Docker image API until `shutdown` resolves; then running
    /// requests get ten seconds to finish.
    ///
    /// # Errors
    /// [`Error::Listen`] if a listener breaks.
    pub async fn serve(
        &self,
        bound: Bound,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<()> {
        // Somebody will pull.
        self.shared.outgoing.prepare();
        let answering = Answering::new(self).await?;
        let graceful = Arc::new(GracefulShutdown::new());
        let slots = Slots::new(slots::affordable(self.connections));
        let (listeners, allowed_hosts) = bound.into_parts();
        let rules = Rules::new(allowed_hosts, self.stall);
        let mut accepting = JoinSet::new();
        for listener in listeners {
            let answering = Arc::clone(&answering);
            let graceful = Arc::clone(&graceful);
            let (slots, rules) = (Arc::clone(&slots), Arc::clone(&rules));
            accepting.spawn(async move {
                loop {
                    let accepted = listener.accept(&slots).await;
                    // Closed only with this function.
                    let Some(seat) = slots.take().await else {
                        return Ok(());
                    };
                    let (rules, watcher) = (Arc::clone(&rules), graceful.watcher());
                    let (answering, closing) = (Arc::clone(&answering), Closing::default());
                    let asking = closing.clone();
                    let respond = move |mut request: Request<_>| {
                        request.extensions_mut().insert(asking.clone());
                        let answering = Arc::clone(&answering);
                        async move { answering.respond(request).await }
                    };
                    tokio::spawn(async move {
                        tokio::select! {
                            () = connection::serve(accepted, seat, rules, watcher, respond) => {}
                            // Its client neither reads nor sends.
                            () = closing.asked() => {}
                        }
                    });
                }
            });
        }
        let watching = Arc::clone(&answering);
        let _watching = AbortOnDrop(tokio::spawn(async move { watching.watch().await }));
        tokio::select! {
            () = shutdown => {}
            Some(stopped) = accepting.join_next() => {
                return stopped.unwrap_or_else(|error| {
                    Err(Error::Host(wasmtime::Error::new(error)))
                });
            }
        }
        accepting.shutdown().await;
        let Ok(graceful) = Arc::try_unwrap(graceful) else {
            return Ok(());
        };
        if tokio::time::timeout(GRACE, graceful.shutdown())
            .await
            .is_err()
        {
            tracing::warn!(
                "requests still ran {} s after the shutdown was asked for; what they fetched is kept",
                GRACE.as_secs()
            );
        }
        Ok(())
    }

    /// Sends one request to the Docker face in this process, without a listener.
    /// Returns status and body.
    ///
    /// # Errors
    /// [`Error::Host`] if the component failed, [`Error::Setting`] if method or
    /// path are no HTTP.
    pub async fn request(&self, method: &str, path: &str) -> Result<(u16, Vec<u8>)> {
        let body: WasiBody = Full::new(Bytes::new())
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = Request::builder()
            .method(method)
            .uri(format!("http://localhost{path}"))
            .header(http::header::HOST, "localhost")
            .body(body)
            .map_err(|error| Error::Setting {
                setting: "request",
                reason: error.to_string(),
            })?;
        let Alone {
            mut store,
            meter,
            place: _place,
        } = self.alone().await?;
        let service = ServicePre::new(self.pre.clone())?;
        let work = async {
            let service = service.instantiate_async(&mut store).await?;
            store
                .run_concurrent(async |accessor| {
                    let response = match instances::handle(accessor, &service, request).await? {
                        Ok(response) => response,
                        Err(ended) => return Err(wasmtime::Error::new(ended)),
                    };
                    let status = response.status().as_u16();
                    let body = response.into_body().collect().await;
                    let body = body.map_err(wasmtime::Error::new)?.to_bytes();
                    wasmtime::error::Ok((status, body.to_vec()))
                })
                .await?
        };
        Ok(self.measured(&meter, work).await?)
    }
}

/// Ends a task with the one that began it.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
