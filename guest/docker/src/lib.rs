//! The Docker Engine API's image half, versions 1.12 to 1.54, over [`Operations`]; of containers, what
//! images are made from.
//!
//! [`respond`] turns one HTTP request into engine calls and one response. It knows neither WIT nor
//! sockets: the shell that does lends an [`Output`] and runs the future. Dropping the future, or an
//! [`Output`] that answers [`Gone`], cancels the operation behind it.
//!
//! The contract is `docker-engine-images.md`, whose sections (§) the modules name; where two kinds of
//! dockerd differ, this is the one with the containerd image store.
#![allow(
    async_fn_in_trait,
    reason = "implementations are single-threaded; callers never need Send futures"
)]

use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};

mod archive;
mod auth;
mod body;
mod containers;
mod failure;
mod images;
mod isolation;
mod line;
mod operations;
mod output;
mod query;
mod reply;
mod route;
mod serving;
mod stream;
mod system;
mod version;

pub use isolation::{INSTANT, SHARED, Shape, WAITING};
pub use operations::{HostFacts, Operations};
pub use output::{Gone, Output, Request, RequestBody};
pub use route::{reads_body, streams_body};
pub use serving::Serving;
pub use version::{MAX_API_VERSION, MIN_API_VERSION};

use containers::Processed;
use failure::Failure;
use query::Query;
use reply::Reply;
use route::{ContainerRoute, Route};
use version::ApiVersion;

/// What a handler comes to.
enum Answer {
    /// A whole response.
    Reply(Reply),
    /// A stream that is yet to run.
    Stream(Stream),
}

/// What sends its response while it works.
enum Stream {
    Pull(images::Pull),
    Push(images::Push),
    Save(images::Save),
    Load(images::Load),
    List(images::Listing),
    Import(images::Import),
    CopyOut(containers::CopyOut),
    CopyIn(containers::CopyIn),
    /// The container of this name.
    Export(String),
    /// The container of this name.
    Changes(String),
    /// Until the container of this ID is removed.
    Wait(String),
}

/// Answers `request` through `output`.
///
/// # Errors
/// [`Gone`] if the client went away; the operation has been cancelled then.
pub async fn respond<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    request: Request<O::Body>,
    output: &mut W,
) -> Result<(), Gone> {
    let mut headers = HeaderMap::new();
    let is_head = request.method == Method::HEAD;
    let in_plain_text = wants_plain_errors(&request.path_and_query);
    let reply_to = |failure: Failure| match in_plain_text {
        true => failure.in_plain_text().reply(),
        false => failure.reply(),
    };
    let answer = match dispatch(operations, &request, &mut headers).await {
        Ok(Answer::Reply(reply)) => reply,
        Ok(Answer::Stream(stream)) => {
            match run(operations, stream, request.body, &headers, output).await? {
                Ok(()) => return Ok(()),
                Err(failure) => reply_to(failure),
            }
        }
        Err(failure) => reply_to(failure),
    };
    send(answer, headers, is_head, output).await
}

/// Whether the path names a version whose clients read plain text.
fn wants_plain_errors(path_and_query: &str) -> bool {
    let version = route::decoded_path(path_and_query).ok().and_then(|path| {
        let (requested, _) = route::split_version(&path);
        ApiVersion::negotiate(requested?).ok()
    });
    version.is_some_and(ApiVersion::reads_plain_errors)
}

/// Runs `stream`; `shared` is what every response says.
///
/// # Errors
/// The inner failure if nothing was sent yet; [`Gone`] if the client left.
async fn run<O: Operations, W: Output<Body = O::Body>>(
    operations: &O,
    stream: Stream,
    body: RequestBody<O::Body>,
    shared: &HeaderMap,
    output: &mut W,
) -> Result<Result<(), Failure>, Gone> {
    let content_type = match &stream {
        Stream::Save(_) | Stream::CopyOut(_) | Stream::Export(_) => {
            HeaderValue::from_static("application/x-tar")
        }
        _ => reply::json_type(),
    };
    let mut headers = shared.clone();
    headers.insert(CONTENT_TYPE, content_type);
    match &stream {
        Stream::Pull(pull) => images::pull(operations, pull, headers, output).await,
        Stream::Push(push) => images::push(operations, push, headers, output).await,
        Stream::Save(save) => images::save(operations, save, headers, output).await,
        Stream::Load(load) => images::load(operations, load, body, headers, output).await,
        Stream::List(listing) => images::send_list(operations, listing, headers, output).await,
        Stream::Import(import) => images::import(operations, import, body, headers, output).await,
        Stream::CopyOut(copy) => containers::copy_out(operations, copy, headers, output).await,
        Stream::CopyIn(copy) => match containers::copy_in(operations, copy, body).await {
            Ok(reply) => send(reply, shared.clone(), false, output).await.map(Ok),
            Err(failure) => Ok(Err(failure)),
        },
        Stream::Export(name) => containers::export(operations, name, headers, output).await,
        Stream::Changes(name) => containers::changes(operations, name, headers, output).await,
        Stream::Wait(id) => containers::wait(operations, id, headers, output).await,
    }
}

/// Finds and runs the handler; `headers` gets what every response to such a request says.
async fn dispatch<O: Operations>(
    operations: &O,
    request: &Request<O::Body>,
    headers: &mut HeaderMap,
) -> Result<Answer, Failure> {
    let path = route::decoded_path(&request.path_and_query)?;
    let (requested, path) = route::split_version(&path);
    let Some(route) = route::resolve(&request.method, path) else {
        return Err(Failure::not_found("page not found"));
    };
    reply::add_identity(headers, &operations.host().version);
    let version = requested.map_or(Ok(ApiVersion::MAX), ApiVersion::negotiate)?;
    reply::add_features(headers);
    let query = Query::of(request)?;
    let reply = match &route {
        Route::Ping => system::ping(&request.method),
        Route::Version => system::version(operations.host())?,
        Route::Info => system::info(operations).await?,
        Route::ContainerList => containers::list(operations, version, &query).await?,
        Route::ContainerCreate => {
            let Request { headers, body, .. } = request;
            containers::create(operations, version, &query, headers, body).await?
        }
        Route::ContainerPrune => containers::prune(operations, &query).await?,
        Route::ContainerCommit => {
            containers::commit(operations, &query, &request.headers, &request.body).await?
        }
        Route::Container(name, route) => {
            return container(operations, version, &query, name, *route).await;
        }
        Route::Network(name) => {
            return Err(Failure::not_found(format!("network {name} not found")));
        }
        Route::Volume(name) => {
            return Err(Failure::not_found(format!("get {name}: no such volume")));
        }
        Route::Plugin(name) => {
            return Err(Failure::not_found(format!("plugin \"{name}\" not found")));
        }
        Route::ImageList => return images::list(operations, version, &query).await,
        Route::ImageCreate if images::is_import(&query) => {
            let import = images::Import::new(operations, version, &query)?;
            return Ok(Answer::Stream(Stream::Import(import)));
        }
        Route::ImageCreate => {
            let pull = images::Pull::new(operations, version, &query, &request.headers)?;
            return Ok(Answer::Stream(Stream::Pull(pull)));
        }
        Route::ImagePush(name) => {
            let push = images::Push::new(version, &query, &request.headers, name)?;
            return Ok(Answer::Stream(Stream::Push(push)));
        }
        Route::ImageSave(name) => {
            let save = images::Save::new(version, &query, name.as_deref())?;
            return Ok(Answer::Stream(Stream::Save(save)));
        }
        Route::ImageLoad => {
            let load = images::Load::new(version, &query)?;
            return Ok(Answer::Stream(Stream::Load(load)));
        }
        Route::ImagePrune => images::prune(operations, &query).await?,
        Route::ImageInspect(name) => images::inspect(operations, version, &query, name).await?,
        Route::ImageHistory(name) => images::history(operations, version, &query, name).await?,
        Route::ImageTag(name) => images::tag(operations, &query, name).await?,
        Route::ImageRemove(name) => images::remove(operations, version, &query, name).await?,
        Route::Unimplemented(operation) => return Err(Failure::not_implemented(operation)),
    };
    Ok(Answer::Reply(reply))
}

/// Finds and runs the handler of a request about one container.
async fn container<O: Operations>(
    operations: &O,
    version: ApiVersion,
    query: &Query,
    name: &str,
    route: ContainerRoute,
) -> Result<Answer, Failure> {
    let reply = match route {
        // These say it in other words.
        ContainerRoute::Stat => containers::stat(operations, name, query).await?,
        ContainerRoute::CopyOut => {
            let copy = containers::CopyOut::new(name, query)?;
            return Ok(Answer::Stream(Stream::CopyOut(copy)));
        }
        ContainerRoute::CopyIn => {
            let copy = containers::CopyIn::new(name, query)?;
            return Ok(Answer::Stream(Stream::CopyIn(copy)));
        }
        _ if name.is_empty() => return Err(containers::unnamed()),
        ContainerRoute::Inspect => containers::inspect(operations, version, query, name).await?,
        ContainerRoute::Remove => containers::remove(operations, name).await?,
        ContainerRoute::Changes => {
            return Ok(Answer::Stream(Stream::Changes(name.to_owned())));
        }
        ContainerRoute::Export => {
            return Ok(Answer::Stream(Stream::Export(name.to_owned())));
        }
        ContainerRoute::Logs => containers::logs(operations, version, query, name).await?,
        ContainerRoute::Process(process) => {
            match containers::process(operations, version, query, name, process).await? {
                Processed::Reply(reply) => reply,
                Processed::Wait(id) => return Ok(Answer::Stream(Stream::Wait(id))),
            }
        }
    };
    Ok(Answer::Reply(reply))
}

async fn send<W: Output>(
    mut reply: Reply,
    shared: HeaderMap,
    is_head: bool,
    output: &mut W,
) -> Result<(), Gone> {
    if is_head && !reply.body.is_empty() {
        // An error; HEAD has no body, and a length without one confuses what is in between.
        reply.body.clear();
    } else if !matches!(
        reply.status,
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
    ) {
        // Those have no length: HTTP forbids it, or it would be that of something else.
        reply
            .headers
            .insert(CONTENT_LENGTH, reply.body.len().into());
    }
    reply.headers.extend(shared);
    output.head(reply.status, reply.headers).await?;
    if reply.body.is_empty() {
        return Ok(());
    }
    output.write(reply.body).await
}

#[cfg(test)]
mod tests;
