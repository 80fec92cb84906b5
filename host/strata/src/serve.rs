//! Serving the component: accepts connections and pumps requests into it.

mod gather;
mod listener;
mod worker;

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Semaphore,
    task::JoinSet,
};
use wasmtime_wasi_http::{WasiBody, handler::ProxyHandler};

pub use listener::{Bound, Listener, bind};

use crate::{Engine, Error, Result};
use worker::Workers;

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
        let handler = ProxyHandler::new(Workers::new(self)?);
        let graceful = Arc::new(GracefulShutdown::new());
        let slots = Arc::new(Semaphore::new(self.connections));
        let mut accepting = JoinSet::new();
        for listener in bound.into_listeners() {
            let handler = handler.clone();
            let graceful = Arc::clone(&graceful);
            let slots = Arc::clone(&slots);
            accepting.spawn(async move {
                loop {
                    // Closed only with this function.
                    let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
                        return Ok(());
                    };
                    let connection = listener.accept().await?;
                    let serving = connection_future(connection, handler.clone());
                    let watched = graceful.watcher();
                    tokio::spawn(async move {
                        serving(watched).await;
                        drop(slot);
                    });
                }
            });
        }
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
        let handler = ProxyHandler::new(Workers::new(self)?);
        let response = handler.handle((), request).await?;
        let status = response.status().as_u16();
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|error| Error::Host(wasmtime::Error::new(error)))?;
        Ok((status, body.to_bytes().to_vec()))
    }
}

/// Anything a client can be at the other end of.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}

/// A connection, ready to be served under a graceful-shutdown watcher.
fn connection_future(
    socket: Box<dyn Socket>,
    handler: ProxyHandler<Workers>,
) -> impl FnOnce(
    hyper_util::server::graceful::Watcher,
) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
    move |watcher| {
        Box::pin(async move {
            let service = service_fn(move |request| {
                let handler = handler.clone();
                async move { Ok::<_, Infallible>(respond(&handler, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .serve_connection(TokioIo::new(socket), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!("connection ended: {error}");
            }
        })
    }
}

/// One request through the component.
async fn respond(
    handler: &ProxyHandler<Workers>,
    request: Request<Incoming>,
) -> Response<WasiBody> {
    let request = request.map(gather::gathered);
    match handler.handle((), request).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!("a request failed in the component: {error:#}");
            failure(&error)
        }
    }
}

/// What a client sees when the component itself failed.
fn failure(error: &wasmtime::Error) -> Response<WasiBody> {
    let message = serde_json::json!({ "message": format!("strata failed: {error}") });
    let body = Full::new(Bytes::from(format!("{message}\n")))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}
