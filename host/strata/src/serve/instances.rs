//! What an instance does with a request, whoever shares it: see [`super::company`] and
//! [`super::own`].

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::sync::oneshot;
use wasmtime::component::Accessor;
use wasmtime_wasi_http::{
    WasiBody,
    p3::bindings::{Service, http::types::ErrorCode},
};

use super::{
    operation::Operation,
    outcome::{Answered, Fate},
};
use crate::{bounds::Ended, instance::State};

/// How long an instance is kept that has nothing to do.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// What a request comes to.
pub(super) type Outcome = Result<Response<WasiBody>, Ended>;

/// A request for an instance.
pub(super) struct Job {
    pub(super) request: Request<WasiBody>,
    pub(super) operation: Arc<Operation>,
    pub(super) reply: Reply,
}

/// Where the outcome goes, once. Whoever ends an instance has one as well.
#[derive(Clone)]
pub(super) struct Reply(Arc<Mutex<Option<oneshot::Sender<Outcome>>>>);

impl Reply {
    pub(super) fn new() -> (Self, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Sends it if there was none yet; whether somebody has it now.
    pub(super) fn send(&self, outcome: Outcome) -> bool {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        sender.is_some_and(|sender| sender.send(outcome).is_ok())
    }
}

/// Runs one request; the response is sent when its head is there, and this resolves when its body
/// is gone.
///
/// # Errors
/// If the instance failed.
pub(super) async fn answer(
    accessor: &Accessor<State>,
    service: &Service,
    fate: &Arc<Fate>,
    job: Job,
) -> wasmtime::Result<()> {
    let Job {
        request,
        operation,
        reply,
    } = job;
    let response = match handle(accessor, service, request).await? {
        Ok(response) => response,
        Err(ended) => {
            // Its client may be gone.
            reply.send(Err(ended));
            return Ok(());
        }
    };
    let (done, gone) = oneshot::channel();
    let response = response.map(|body| {
        let answered = Answered {
            body,
            fate: Arc::clone(fate),
            operation,
            _done: done,
        };
        answered.boxed_unsync()
    });
    if reply.send(Ok(response)) {
        drop(reply);
        let _ = gone.await;
    }
    Ok(())
}

/// Runs one request up to the head of its response.
///
/// # Errors
/// If the instance failed. The inner one is the component's word.
pub(super) async fn handle(
    accessor: &Accessor<State>,
    service: &Service,
    request: Request<WasiBody>,
) -> wasmtime::Result<Outcome> {
    use wasmtime_wasi_http::{WasiHttpView as _, p3::Request as WasiRequest};
    let (request, sent) = accessor.with(|mut access| {
        let view = access.get().http();
        let (request, sent) = WasiRequest::from_http(view.hooks, request);
        // Boxed, as it would borrow the view otherwise.
        let sent: Pin<Box<dyn Future<Output = _> + Send>> = Box::pin(sent);
        (request, sent)
    });
    match service.handle(accessor, request).await? {
        Ok(response) => accessor.with(|access| Ok(Ok(response.into_http(access, sent)?))),
        Err(ErrorCode::HttpRequestBodySize(limit)) => {
            Ok(Err(Ended::TooLarge(limit.unwrap_or_default())))
        }
        Err(ErrorCode::InternalError(Some(text))) => Ok(Err(Ended::Failed(text))),
        Err(code) => Ok(Err(Ended::Failed(format!("{code:?}")))),
    }
}

/// Logs why an operation ended.
pub(super) fn report(operation: &Operation, error: &wasmtime::Error) -> Ended {
    let ended = Ended::of(error);
    if ended.is_fault() {
        tracing::error!("{operation}: {ended}");
        tracing::debug!("{operation}: {error:?}");
    } else {
        tracing::warn!("{operation}: {ended}");
    }
    ended
}
