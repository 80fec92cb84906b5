//! A request's way to its handler, and the answer's way back.

use http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
#[cfg(not(test))]
use strata_engine::Engine;
use strata_engine::{Error, Host};
use strata_http::{Gone, Head, Output, Query, Reply, RequestBody, Route, Taking, form};

/// Tests script what the engine answers. The script has the engine's operations by name, so that no trait
/// has to stand between the two.
#[cfg(test)]
use crate::tests::fake::Engine;
use crate::{
    containers,
    facts::HostFacts,
    failure::Failure,
    images, query, reply,
    route::{self, ContainerOperation, Operation},
    system,
    version::ApiVersion,
};

/// A request whose body is yet to be taken.
pub struct Call {
    head: Head,
    /// The version in the path.
    requested: Option<String>,
    /// What is asked for, and the name in the path; `None` if nobody knows the path.
    route: Option<(&'static Route<Operation>, String)>,
}

/// What a handler comes to: a reply, unless it has sent its response by itself.
pub(crate) type Answer = Result<Option<Reply>, Stop>;

/// Why a handler has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The request fails, and nothing was sent yet.
    Failed(Failure),
    /// The client left: nobody reads an answer.
    Gone,
}

/// A request that is in order as far as all have something in common.
pub(crate) struct Asked<'a, H: Host> {
    pub(crate) engine: &'a Engine<H>,
    pub(crate) host: &'a HostFacts,
    pub(crate) version: ApiVersion,
    pub(crate) query: Query,
    /// The name in the path.
    pub(crate) name: &'a str,
    /// The headers of the request.
    pub(crate) headers: &'a HeaderMap,
    /// What every response to it says.
    shared: &'a HeaderMap,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Gone> for Stop {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

impl<H: Host> Asked<'_, H> {
    /// A boolean parameter, false unless it is given.
    pub(crate) fn boolean(&self, key: &'static str) -> bool {
        query::boolean(&self.query, key, false)
    }

    /// The headers of a response that is sent while the work goes on.
    pub(crate) fn growing(&self, content_type: &'static str) -> HeaderMap {
        let mut headers = self.shared.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers
    }
}

impl Call {
    /// Finds the route of a request.
    pub fn new(head: Head) -> Self {
        let path = head.path.as_deref().unwrap_or_default();
        let (requested, path) = route::split_version(path);
        Self {
            requested: requested.map(str::to_owned),
            route: route::find(&head.method, path).map(|(route, name)| (route, name.to_owned())),
            head,
        }
    }

    /// How the body is taken. What is not served is answered without: a client may send an archive with it.
    pub fn body(&self) -> Taking {
        let route = self.route.as_ref();
        route.map_or(Taking::Nothing, |(route, _)| route.body(&self.head))
    }

    /// Answers through `output`.
    ///
    /// # Errors
    /// [`Gone`] if the client went away; the operation has been cancelled then.
    pub async fn answer<H: Host, W: Output<Body = H::Body>>(
        self,
        engine: &Engine<H>,
        host: &HostFacts,
        body: RequestBody<H::Body>,
        output: &mut W,
    ) -> Result<(), Gone> {
        let is_head = self.head.method == Method::HEAD;
        let version = self.requested.as_deref().map(ApiVersion::negotiate);
        let reads_text = version.is_some_and(|it| it.is_ok_and(ApiVersion::reads_plain_errors));
        let mut shared = HeaderMap::new();
        let reply = match self.handle(engine, host, body, &mut shared, output).await {
            Ok(None) => return Ok(()),
            Ok(Some(reply)) => reply,
            Err(Stop::Gone) => return Err(Gone),
            Err(Stop::Failed(failure)) if reads_text => failure.in_plain_text().reply(),
            Err(Stop::Failed(failure)) => failure.reply(),
        };
        reply.send(shared, is_head, output).await
    }

    /// Runs the handler; `shared` gets what every response to such a request says.
    async fn handle<H: Host, W: Output<Body = H::Body>>(
        self,
        engine: &Engine<H>,
        host: &HostFacts,
        body: RequestBody<H::Body>,
        shared: &mut HeaderMap,
        output: &mut W,
    ) -> Answer {
        let Head {
            method,
            path,
            query,
            headers,
        } = &self.head;
        path.as_ref().map_err(Failure::from)?;
        let Some((route, name)) = &self.route else {
            return Err(Failure::not_found("page not found").into());
        };
        reply::add_identity(shared, &engine.settings().version);
        let requested = self.requested.as_deref();
        let version = requested.map_or(Ok(ApiVersion::MAX), ApiVersion::negotiate)?;
        reply::add_features(shared);
        let form = form(method, headers, &body).map_err(|it| Failure::from(&it))?;
        let query = query.as_ref().map_err(Failure::from)?;
        let asked = Asked {
            engine,
            host,
            version,
            query: form.followed_by(query.clone()),
            name,
            headers,
            shared,
        };
        let asked = &asked;
        let reply = match route.operation {
            Operation::Ping => system::ping(method),
            Operation::Version => system::version(asked)?,
            Operation::Info => system::info(asked).await?,
            Operation::ContainerList => containers::list(asked).await?,
            Operation::ContainerCreate => containers::create(asked, &body).await?,
            Operation::ContainerPrune => containers::prune(asked).await?,
            Operation::ContainerCommit => containers::commit(asked, &body).await?,
            Operation::Container(operation) => {
                return container(asked, operation, body, output).await;
            }
            Operation::Network => missing(format!("network {name} not found"))?,
            Operation::Volume => missing(format!("get {name}: no such volume"))?,
            Operation::Plugin => missing(format!("plugin \"{name}\" not found"))?,
            Operation::ImageList => return images::list(asked, output).await,
            Operation::ImageCreate if images::is_import(&asked.query) => {
                return images::import(asked, body, output).await;
            }
            Operation::ImageCreate => return images::pull(asked, output).await,
            Operation::ImagePush => return images::push(asked, output).await,
            Operation::ImagesSave => {
                let names = asked.query.all("names").map(str::to_owned).collect();
                return images::save(asked, names, output).await;
            }
            Operation::ImageSave => {
                return images::save(asked, vec![name.clone()], output).await;
            }
            Operation::ImageLoad => return images::load(asked, body, output).await,
            Operation::ImagePrune => images::prune(asked).await?,
            Operation::ImageInspect => images::inspect(asked).await?,
            Operation::ImageHistory => images::history(asked).await?,
            Operation::ImageTag => images::tag(asked).await?,
            Operation::ImageRemove => images::remove(asked).await?,
            Operation::Unimplemented(what) => return Err(Failure::not_implemented(what).into()),
        };
        Ok(Some(reply))
    }
}

/// Runs the handler of a request about one container.
async fn container<H: Host, W: Output<Body = H::Body>>(
    asked: &Asked<'_, H>,
    operation: ContainerOperation,
    body: RequestBody<H::Body>,
    output: &mut W,
) -> Answer {
    let reply = match operation {
        // These say it in other words.
        ContainerOperation::Stat => containers::stat(asked).await?,
        ContainerOperation::CopyOut => return containers::copy_out(asked, output).await,
        ContainerOperation::CopyIn => containers::copy_in(asked, body).await?,
        _ if asked.name.is_empty() => return Err(containers::unnamed().into()),
        ContainerOperation::Inspect => containers::inspect(asked).await?,
        ContainerOperation::Remove => containers::remove(asked).await?,
        ContainerOperation::Changes => return containers::changes(asked, output).await,
        ContainerOperation::Export => return containers::export(asked, output).await,
        ContainerOperation::Logs => containers::logs(asked).await?,
        ContainerOperation::Process(process) => {
            return containers::process(asked, process, output).await;
        }
    };
    Ok(Some(reply))
}

/// Answers 404 for what there is none of here.
fn missing(message: String) -> Result<Reply, Failure> {
    Err(Failure::not_found(message))
}
