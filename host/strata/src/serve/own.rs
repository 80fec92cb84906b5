//! Instances that requests have for themselves.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::Request;
use tokio::{runtime::Handle, sync::oneshot};
use wasmtime_wasi_http::{WasiBody, p3::bindings::ServicePre};

use super::{
    instances::{IDLE, Job, Outcome, Reply, answer, report},
    operation::Operation,
    outcome::Fate,
};
use crate::{
    Engine,
    bounds::{Ended, Meter, Place},
    instance::State,
};

/// Linear memory above which an instance is not kept, as memory never shrinks: most operations take
/// 2 to 5 MiB.
const KEPT: usize = 16 << 20;
/// Linear memory of all that are kept while they have nothing to do.
const ALL_KEPT: usize = 128 << 20;

/// Instances that requests have for themselves. Those without one are kept for a while, the one
/// used last first, because what it read may be asked for again.
pub(super) struct OwnInstances {
    engine: Engine,
    service: ServicePre<State>,
    /// Where they run.
    runtime: Handle,
    idle: Arc<Mutex<VecDeque<Idle>>>,
}

/// An instance that waits for a request.
struct Idle {
    work: oneshot::Sender<(Job, Place)>,
    /// Its linear memory.
    size: usize,
}

fn locked(idle: &Mutex<VecDeque<Idle>>) -> MutexGuard<'_, VecDeque<Idle>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OwnInstances {
    pub(super) fn new(engine: &Engine, service: &ServicePre<State>, runtime: Handle) -> Self {
        Self {
            engine: engine.clone(),
            service: service.clone(),
            runtime,
            idle: Arc::default(),
        }
    }

    /// Answers a request that has its place.
    pub(super) async fn answer(
        &self,
        request: Request<WasiBody>,
        operation: &Arc<Operation>,
        place: Place,
    ) -> Outcome {
        let (reply, outcome) = Reply::new();
        let mut work = (
            Job {
                request,
                operation: Arc::clone(operation),
                reply,
            },
            place,
        );
        operation.is_placed();
        loop {
            let kept = locked(&self.idle).pop_back();
            let Some(kept) = kept else {
                let instance = OwnInstance {
                    engine: self.engine.clone(),
                    service: self.service.clone(),
                    idle: Arc::clone(&self.idle),
                };
                self.runtime.spawn(instance.run(work));
                break;
            };
            match kept.work.send(work) {
                Ok(()) => break,
                // It has ended just now.
                Err(back) => work = back,
            }
        }
        match outcome.await {
            Ok(outcome) => outcome,
            Err(_) => Err(Ended::Failed(
                "an instance ended without an answer".to_owned(),
            )),
        }
    }

    /// Lets those go that have nothing to do.
    pub(super) fn shed(&self) {
        locked(&self.idle).clear();
    }
}

/// An instance for one request at a time.
struct OwnInstance {
    engine: Engine,
    service: ServicePre<State>,
    idle: Arc<Mutex<VecDeque<Idle>>>,
}

impl OwnInstance {
    async fn run(self, first: (Job, Place)) {
        let Self {
            engine,
            service,
            idle,
        } = self;
        let meter = Meter::alone(engine.compute);
        let (mut job, mut place) = first;
        let made = async {
            let memory = engine.shared.budget.share().await;
            let mut store = engine.store(memory.map_err(wasmtime::Error::new)?, &meter);
            let service = service.instantiate_async(&mut store).await?;
            wasmtime::error::Ok((store, service))
        };
        let (mut store, service) = match engine.measured(&meter, made).await {
            Ok(made) => made,
            Err(error) => {
                let ended = report(&job.operation, &error);
                job.reply.send(Err(ended));
                return;
            }
        };
        loop {
            let (operation, reply) = (Arc::clone(&job.operation), job.reply.clone());
            let fate = Arc::new(Fate::new());
            meter.reset();
            store.data_mut().decoders = operation.decoders().clone();
            store.data_mut().outgoing.peers = operation.peers().clone();
            let work = store.run_concurrent(async |accessor| {
                answer(accessor, &service, &fate, job).await?;
                // What it does after its response.
                std::future::poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                wasmtime::error::Ok(())
            });
            let result = tokio::select! {
                result = engine.measured(&meter, work) => {
                    result.flatten().map_err(|error| report(&operation, &error))
                }
                ended = operation.is_over() => Err(ended),
            };
            if let Err(ended) = result {
                // Before the store is dropped, which ends the body.
                let _ = fate.set(ended.clone());
                reply.send(Err(ended));
                return;
            }
            drop((operation, reply));
            store.data_mut().memory.settle();
            let size = store.data().memory.size();
            if size > KEPT {
                return;
            }
            let (work, next) = oneshot::channel();
            keep(&idle, Idle { work, size });
            // After that, so that who takes the place finds the instance.
            drop(place);
            match tokio::time::timeout(IDLE, next).await {
                Ok(Ok(next)) => (job, place) = next,
                _ => return,
            }
        }
    }
}

/// Keeps one more, and lets go of those used longest ago that are too many then.
fn keep(idle: &Mutex<VecDeque<Idle>>, kept: Idle) {
    let mut idle = locked(idle);
    idle.retain(|kept| !kept.work.is_closed());
    idle.push_back(kept);
    let mut size: usize = idle.iter().map(|kept| kept.size).sum();
    while size > ALL_KEPT
        && let Some(oldest) = idle.pop_front()
    {
        size -= oldest.size;
    }
}
