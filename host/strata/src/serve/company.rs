//! Instances that requests share: small reads, and what is answered at once.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use futures::stream::{FuturesUnordered, StreamExt as _};
use http::Request;
use tokio::sync::mpsc;
use wasmtime_wasi_http::{WasiBody, p3::bindings::ServicePre};

use super::{
    instances::{IDLE, Job, Outcome, Reply, answer},
    operation::Operation,
    outcome::Fate,
};
use crate::{
    Engine,
    bounds::{Ended, Meter},
    instance::State,
};

/// Requests after which a shared instance is replaced: linear memory never shrinks.
const REQUESTS: usize = 1_000_000;

/// Memory of an instance that stays though it has nothing to do: a listing of 2,000 images needs some 32 MiB. After a
/// crowd, an instance has more.
const KEPT: usize = 128 << 20;

/// Instances that requests share: as few as suffice, so that their caches are warm.
pub(super) struct Company {
    members: Vec<Member>,
    size: Size,
}

/// How many instances there are, and what they are for.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Most instances.
    pub(super) instances: usize,
    /// Requests one of them answers at the same time. They share its caches; more instances would only
    /// warm them again.
    pub(super) concurrent: usize,
    /// Whether answers are large: then the first one has all the memory it may get.
    pub(super) large: bool,
    /// Whether the first one stays when it has nothing to do, with its caches.
    pub(super) stays: bool,
}

struct Member {
    jobs: mpsc::UnboundedSender<Job>,
    load: Arc<AtomicUsize>,
    meter: Arc<Meter>,
}

impl Company {
    /// Instances that are made when they are needed. They run on this runtime.
    pub(super) fn new(engine: &Engine, service: &ServicePre<State>, size: Size) -> Self {
        let member = |index| {
            let (jobs, receiver) = mpsc::unbounded_channel();
            let member = Member {
                jobs,
                load: Arc::default(),
                meter: Meter::shared(engine.compute),
            };
            let instance = Sharing {
                engine: engine.clone(),
                service: service.clone(),
                meter: Arc::clone(&member.meter),
                load: Arc::clone(&member.load),
                stays: size.stays && index == 0,
                large: size.large && index == 0,
                concurrent: size.concurrent,
            };
            tokio::spawn(instance.run(receiver));
            member
        };
        let members = (0..size.instances).map(member).collect();
        Self { members, size }
    }

    /// Gives a request to the first instance that is not computing, else to the one with the least
    /// to do. `None` if the instance failed, whoever was to blame. The response has the instance's meter
    /// with it.
    pub(super) async fn answer(
        &self,
        request: Request<WasiBody>,
        operation: &Arc<Operation>,
    ) -> Option<Outcome> {
        let is_free = |member: &&Member| {
            let Member { meter, load, .. } = member;
            !meter.is_running() && !meter.is_tired() && load.load(Relaxed) < self.size.concurrent
        };
        let ease = |member: &&Member| (member.meter.is_tired(), member.load.load(Relaxed));
        let least = || self.members.iter().min_by_key(ease);
        let member = self.members.iter().find(is_free).or_else(least)?;
        let (reply, outcome) = Reply::new();
        let job = Job {
            request,
            operation: Arc::clone(operation),
            reply,
        };
        member.load.fetch_add(1, Relaxed);
        member.jobs.send(job).ok()?;
        let mut outcome = outcome.await.ok()?;
        if let Ok(response) = &mut outcome {
            response.extensions_mut().insert(Arc::clone(&member.meter));
        }
        Some(outcome)
    }

    /// Requests that no instance has taken up yet.
    pub(super) fn waiting(&self) -> usize {
        let most = self.size.concurrent;
        let over = |member: &Member| member.load.load(Relaxed).saturating_sub(most);
        self.members.iter().map(over).sum()
    }
}

/// One shared instance, replaced when it fails.
struct Sharing {
    engine: Engine,
    service: ServicePre<State>,
    meter: Arc<Meter>,
    load: Arc<AtomicUsize>,
    stays: bool,
    large: bool,
    concurrent: usize,
}

impl Sharing {
    async fn run(self, mut jobs: mpsc::UnboundedReceiver<Job>) {
        while let Some(first) = jobs.recv().await {
            let fate = Arc::new(Fate::new());
            let Err(error) = self.share(&mut jobs, first, &fate).await else {
                continue;
            };
            let ended = Ended::of(&error);
            if ended.is_fault() {
                tracing::error!("a shared instance failed, its requests begin again: {ended}");
                tracing::debug!("{error:?}");
            } else {
                tracing::debug!("a shared instance is replaced, its requests begin again: {ended}");
            }
        }
    }

    /// Answers with one instance until it is retired.
    ///
    /// # Errors
    /// If it failed.
    async fn share(
        &self,
        jobs: &mut mpsc::UnboundedReceiver<Job>,
        first: Job,
        fate: &Arc<Fate>,
    ) -> wasmtime::Result<()> {
        // Whatever becomes of the instance, what it was given counts no more.
        let taken = Taken {
            load: &self.load,
            count: AtomicUsize::new(1),
        };
        let made = async {
            let memory = self.engine.shared.budget.prompt(self.large).await;
            let memory = memory.map_err(wasmtime::Error::new)?;
            let mut store = self.engine.store(memory, &self.meter);
            let service = self.service.instantiate_async(&mut store).await?;
            wasmtime::error::Ok((store, service))
        };
        let (mut store, service) = self.engine.measured(&self.meter, made).await?;
        self.meter.reset();
        let work = store.run_concurrent(async |accessor| {
            let mut running = FuturesUnordered::new();
            running.push(answer(accessor, &service, fate, first));
            let mut total = 1;
            loop {
                let idle = running.is_empty();
                let goes = total >= REQUESTS || self.meter.is_tired();
                if idle && goes {
                    return Ok(());
                }
                tokio::select! {
                    Some(ended) = running.next(), if !idle => {
                        taken.gives_back();
                        ended?;
                    }
                    job = jobs.recv(), if running.len() < self.concurrent && !goes => {
                        let Some(job) = job else { return Ok(()) };
                        taken.takes();
                        total += 1;
                        running.push(answer(accessor, &service, fate, job));
                    }
                    () = tokio::time::sleep(IDLE), if idle => {
                        let size = accessor.with(|mut access| access.get().memory.size());
                        if !self.stays || size > KEPT {
                            return Ok(());
                        }
                    }
                    else => return Ok(()),
                }
            }
        });
        let result = self.engine.measured(&self.meter, work).await.flatten();
        if let Err(error) = &result {
            // Before the store is dropped, which ends the bodies.
            let _ = fate.set(Ended::of(error));
        }
        result
    }
}

/// Counts what an instance was given.
struct Taken<'a> {
    load: &'a AtomicUsize,
    count: AtomicUsize,
}

impl Taken<'_> {
    fn takes(&self) {
        self.count.fetch_add(1, Relaxed);
    }

    fn gives_back(&self) {
        self.count.fetch_sub(1, Relaxed);
        self.load.fetch_sub(1, Relaxed);
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.load.fetch_sub(self.count.load(Relaxed), Relaxed);
    }
}
