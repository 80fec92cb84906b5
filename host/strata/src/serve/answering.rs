//! From a request to its response: which instance, what if it fails, and what if there is no room.

use std::{sync::Arc, time::Instant};

use http::{Request, Response, request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use strata_codec::Kind;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error as WireError, WasiBody, p3::bindings::ServicePre};

use super::{
    bulk::Bulk,
    clients::{Clients, Waiting},
    company::{Company, Size},
    gather,
    instances::Outcome,
    lanes::{Lane, Lanes},
    operation::Operation,
    outcome::{Begun, failure, whole},
    own::OwnInstances,
    switch, trimming,
};
use crate::{
    Engine, Result,
    bounds::{Ended, Meter, Place},
};

/// For requests answered with what needs no time.
const INSTANT: Size = Size {
    instances: 1,
    concurrent: 64,
    large: false,
    stays: true,
};
/// For those that wait: as many as there may be connections, of some 100 KB each, which are
/// given back when all have gone for a minute.
const WAITING: Size = Size {
    instances: 1,
    concurrent: 10_000,
    large: false,
    stays: false,
};
/// Small reads one instance answers at the same time: what their answers need is there until clients have read them.
const CONCURRENT: usize = 16;
/// Bytes of responses of shared instances that are kept here whole until clients have read them: an
/// instance has done with a request then, and can fail without harm to it.
const WHOLE: usize = 32 << 20;
/// Largest of them: a listing of some 3,000 images.
const LARGEST_WHOLE: u64 = 4 << 20;

/// Answers requests.
pub(super) struct Answering {
    engine: Engine,
    lanes: Lanes,
    instant: Company,
    shared: Company,
    waiting: Company,
    alone: OwnInstances,
    clients: Clients,
    /// Bytes there is room for.
    whole: Arc<Semaphore>,
    /// Where the large operations run.
    _bulk: Bulk,
}

impl Answering {
    /// Asks the component what may share, and begins nothing else yet.
    ///
    /// # Errors
    /// As an embedder's call.
    pub(super) async fn new(engine: &Engine) -> Result<Arc<Self>> {
        let lanes = Lanes::new(shapes(engine).await?);
        engine.shared.admission.open();
        let service = ServicePre::new(engine.pre.clone())?;
        let bulk = Bulk::new()?;
        let shared = Size {
            instances: engine.shared_instances,
            concurrent: CONCURRENT,
            large: true,
            stays: true,
        };
        let alone = OwnInstances::new(engine, &service, bulk.handle());
        Ok(Arc::new(Self {
            engine: engine.clone(),
            lanes,
            instant: Company::new(engine, &service, INSTANT),
            shared: Company::new(engine, &service, shared),
            waiting: Company::new(engine, &service, WAITING),
            alone,
            clients: Clients::default(),
            whole: Arc::new(Semaphore::new(WHOLE)),
            _bulk: bulk,
        }))
    }

    /// Looks after clients and memory, for as long as it is polled.
    pub(super) async fn watch(&self) {
        let admission = &self.engine.shared.admission;
        let decoders = &self.engine.shared.decoders;
        let waiting = || Waiting {
            places: admission.waiting() + self.shared.waiting(),
            ordinary: decoders.waiting(Kind::Ordinary),
            long: decoders.waiting(Kind::Long),
        };
        let getting_on = |count| admission.getting_on(count);
        let clients = self.clients.run(self.engine.stall, waiting, getting_on);
        let shedding = async {
            loop {
                self.engine.shared.budget.wanted().await;
                self.alone.shed();
            }
        };
        tokio::join!(clients, shedding, trimming::run());
    }

    /// The response to a request.
    pub(super) async fn respond(&self, request: Request<Incoming>) -> Response<WasiBody> {
        let operation = Operation::new(&request);
        let wanted = switch::wanted(request.headers());
        let outcome = match self.lanes.of(&request) {
            Lane::Instant => self.in_company(&self.instant, request, &operation).await,
            Lane::Shared => {
                self.clients.watch(&operation);
                self.in_company(&self.shared, request, &operation).await
            }
            Lane::Waiting => self.waits(request, &operation).await,
            Lane::Own => {
                self.clients.watch(&operation);
                self.with_body(request, &operation).await
            }
        };
        let response = outcome.unwrap_or_else(|ended| failure(&ended));
        operation.log(response.status());
        switch::answered(response, wanted)
    }

    /// In an instance that others use. If that fails, whoever was to blame, once more without them.
    async fn in_company(
        &self,
        company: &Company,
        request: Request<Incoming>,
        operation: &Arc<Operation>,
    ) -> Outcome {
        let (head, _) = request.into_parts();
        let first = company.answer(without_body(&head), operation).await;
        let again = match first {
            Some(Ok(response)) => match self.kept(response, operation).await {
                Some(response) => return Ok(response),
                None => head,
            },
            Some(Err(Ended::Failed(_))) | None => head,
            Some(Err(ended)) => return Err(ended),
        };
        tracing::debug!("{operation}: begins again, alone");
        self.alone(without_body(&again), operation).await
    }

    /// In an instance with others that wait: they take no place of those who do something.
    async fn waits(&self, request: Request<Incoming>, operation: &Arc<Operation>) -> Outcome {
        let (head, _) = request.into_parts();
        let first = self.waiting.answer(without_body(&head), operation).await;
        match first {
            Some(Err(Ended::Failed(_))) | None => self.alone(without_body(&head), operation).await,
            Some(outcome) => outcome,
        }
    }

    /// The response, whole if there is room for it; `None` if it broke off.
    async fn kept(
        &self,
        mut response: Response<WasiBody>,
        operation: &Arc<Operation>,
    ) -> Option<Response<WasiBody>> {
        use http_body::Body as _;
        let meter: Option<Arc<Meter>> = response.extensions_mut().remove();
        let size = response.body().size_hint().exact().unwrap_or(u64::MAX);
        let room = u32::try_from(size)
            .ok()
            .filter(|_| size <= LARGEST_WHOLE)
            .and_then(|size| Arc::clone(&self.whole).try_acquire_many_owned(size).ok());
        match room {
            Some(room) => whole(response, operation, room).await.ok(),
            None => {
                operation.is_placed();
                let begun = meter.map(Meter::begins);
                Some(response.map(|body| Begun::new(body, operation, begun).boxed_unsync()))
            }
        }
    }

    async fn with_body(&self, request: Request<Incoming>, operation: &Arc<Operation>) -> Outcome {
        let (mut head, body) = request.into_parts();
        let desk = head.extensions.remove();
        let desk = desk.ok_or_else(|| Ended::Failed("a request of no connection".to_owned()))?;
        let answered = async {
            let broken_off = |error: WireError| {
                tracing::debug!("{operation}: {error}");
                Ended::BrokenOff
            };
            let begun = gather::begin(body, desk, operation).await;
            let mut begun = begun.map_err(broken_off)?;
            let place = tokio::select! {
                place = self.place(operation) => place?,
                error = begun.breaks_off() => return Err(broken_off(error)),
            };
            // Not before: what waits for its turn holds little.
            let request = Request::from_parts(head, begun.gathered(operation));
            self.alone.answer(request, operation, place).await
        };
        tokio::select! {
            outcome = answered => outcome,
            ended = operation.is_cut() => Err(ended),
        }
    }

    async fn alone(&self, request: Request<WasiBody>, operation: &Arc<Operation>) -> Outcome {
        let place = self.place(operation).await?;
        self.alone.answer(request, operation, place).await
    }

    /// The right to an instance, once it is this operation's turn.
    async fn place(&self, operation: &Arc<Operation>) -> Result<Place, Ended> {
        let began = Instant::now();
        let place = self.engine.shared.admission.enter().await;
        place.inspect_err(|ended| {
            tracing::warn!(
                "{operation}: {ended} (waited {} s)",
                began.elapsed().as_secs()
            );
        })
    }
}

fn without_body(head: &request::Parts) -> Request<WasiBody> {
    let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
    let mut request = Request::new(body);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = head.uri.clone();
    *request.headers_mut() = head.headers.clone();
    request
}

/// What the component says may share.
async fn shapes(
    engine: &Engine,
) -> Result<Vec<crate::bindings::exports::strata::image::isolation::Shape>> {
    let mut alone = engine.alone().await?;
    let meter = Arc::clone(&alone.meter);
    let work = async {
        let instance = engine.exports.instantiate_async(&mut alone.store).await?;
        alone
            .store
            .run_concurrent(async |accessor| {
                instance
                    .strata_image_isolation()
                    .call_shapes(accessor)
                    .await
            })
            .await?
    };
    Ok(engine.measured(&meter, work).await?)
}
