//! Instances that handle requests: when one is made, shared and retired.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use wasmtime::{StoreContextMut, component::GuestTaskId};
use wasmtime_wasi_http::{
    WasiHttpView,
    handler::{
        HandlerState, Instance, Proxy, ShouldAccept, WorkerExpiration, WorkerState, WorkerStatus,
    },
    p3::bindings::ServicePre,
};

use crate::{Engine, Result, instance::State};

/// Requests one instance handles at the same time. They share its caches; more
/// instances would only warm them again. Transfers hardly use its thread.
const CONCURRENT_REQUESTS: usize = 64;
/// Requests after which an instance is retired: linear memory never shrinks.
const REQUESTS: usize = 1_000_000;

/// Makes instances.
pub(super) struct Workers {
    engine: Engine,
    service: ServicePre<State>,
}

impl Workers {
    pub(super) fn new(engine: &Engine) -> Result<Self> {
        Ok(Self {
            engine: engine.clone(),
            service: ServicePre::new(engine.pre.clone())?,
        })
    }
}

impl HandlerState for Workers {
    type StoreData = State;
    type WorkerExpiration = Never;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Never, Worker>> {
        let mut store = self.engine.instance_store();
        let proxy = self.service.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy: Proxy::P3(proxy),
            view: State::http,
            expiration: Never,
            state: Worker,
        })
    }
}

/// An idle instance keeps its caches warm, and a pull may take hours.
pub(super) struct Never;

impl WorkerExpiration for Never {
    fn poll(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _state: WorkerStatus,
        _start: Instant,
    ) -> Poll<()> {
        Poll::Pending
    }
}

/// One instance at work.
pub(super) struct Worker;

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = ();

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= REQUESTS {
            ShouldAccept::Never
        } else if concurrent >= CONCURRENT_REQUESTS {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        _store: StoreContextMut<'_, State>,
        _data: (),
        _task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        Box::pin(std::future::pending())
    }

    fn drop(&self, _store: wasmtime::Store<State>, result: Result<(), wasmtime::Error>) {
        if let Err(error) = result {
            tracing::error!("an instance failed: {error:#}");
        }
    }
}
