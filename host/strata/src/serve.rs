//! Serving the component: accepts connections and pumps requests into it.

mod answering;
mod bulk;
mod clients;
mod company;
mod gather;
mod instances;
mod lanes;
mod listener;
mod operation;
mod outcome;
mod own;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    task::JoinSet,
};
use wasmtime_wasi_http::{WasiBody, p3::bindings::ServicePre};

pub use listener::{Bound, Listener, bind};

use crate::{Engine, Error, Result, instance::Alone};
use answering::Answering;
use operation::Closing;

/// A client that sends no complete request head for this long is cut off; an
/// idle connection between requests is not affected.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);
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
        let slots = Arc::new(Semaphore::new(self.connections));
        let mut accepting = JoinSet::new();
        for listener in bound.into_listeners() {
            let answering = Arc::clone(&answering);
            let graceful = Arc::clone(&graceful);
            let slots = Arc::clone(&slots);
            accepting.spawn(async move {
                loop {
                    // Closed only with this function.
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                        return Ok(());
                    };
                    let connection = listener.accept().await?;
                    let serving = connection_future(connection, Arc::clone(&answering));
                    let watched = graceful.watcher();
                    tokio::spawn(async move {
                        serving(watched).await;
                        drop(slot);
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

/// Anything a client can be at the other end of.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection, ready to be served under a graceful-shutdown watcher.
fn connection_future(
    socket: Box<dyn Socket>,
    answering: Arc<Answering>,
) -> impl FnOnce(
    hyper_util::server::graceful::Watcher,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |watcher| {
        Box::pin(async move {
            let closing = Closing::default();
            let service = {
                let closing = closing.clone();
                service_fn(move |mut request: Request<_>| {
                    request.extensions_mut().insert(closing.clone());
                    let answering = Arc::clone(&answering);
                    async move { Ok::<_, Infallible>(answering.respond(request).await) }
                })
            };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service);
            tokio::select! {
                ended = watcher.watch(connection) => {
                    if let Err(error) = ended {
                        tracing::debug!("connection ended: {error}");
                    }
                }
                // Its client neither reads nor sends.
                () = closing.asked() => {}
            }
        })
    }
}
