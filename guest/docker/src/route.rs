//! The routes: a line each for the method, the path, the operation, and what is not
//! as usual about the body and whom the request may share an instance with.
//!
//! Image names contain raw slashes, so paths without a name stand first. A wrong method is an unknown path.

use http::Method;
use strata_http::{
    Company::{Instant, Shared, Waiting},
    Route, Shape, Taking,
};

use crate::images;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Ping,
    Version,
    Info,
    ContainerList,
    ContainerCreate,
    ContainerPrune,
    ContainerCommit,
    /// About the container of this name.
    Container(ContainerOperation),
    Network,
    Volume,
    Plugin,
    ImageList,
    ImageCreate,
    ImagePrune,
    ImageLoad,
    /// An archive of the images in the query.
    ImagesSave,
    ImageSave,
    ImageInspect,
    ImageHistory,
    ImageTag,
    ImageRemove,
    ImagePush,
    /// An operation of the API that is not served yet, as people call it.
    Unimplemented(&'static str),
}

/// What is asked of one container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContainerOperation {
    Inspect,
    Remove,
    Changes,
    Export,
    /// The kind, size and mode of a path in it.
    Stat,
    /// An archive of a path.
    CopyOut,
    /// An archive to unpack at a path.
    CopyIn,
    Logs,
    /// An operation that needs a process, or a life of its own.
    Process(Process),
}

/// What is asked of a container that would run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Process {
    Start,
    Restart,
    Stop,
    Kill,
    Pause,
    Unpause,
    Wait,
    Attach,
    Resize,
    Exec,
    Top,
    Stats,
    Rename,
    Update,
}

/// All routes; the first that fits is taken.
const ROUTES: &[Route<Operation>] = {
    use self::Process as P;
    use ContainerOperation::{
        Changes, CopyIn, CopyOut, Export, Inspect, Logs, Process, Remove, Stat,
    };
    use Operation::*;
    &[
        Route::get("/_ping", Ping).with(Instant, &[]),
        Route::head("/_ping", Ping).with(Instant, &[]),
        Route::get("/version", Version).with(Instant, &[]),
        Route::get("/info", Info).with(Shared, &[]),
        Route::get("/containers/json", ContainerList).with(Shared, &["size"]),
        Route::get("/images/json", ImageList).with(Shared, &["manifests", "shared-size"]),
        Route::post("/images/create", ImageCreate).streaming_if(images::has_archive),
        Route::post("/images/prune", ImagePrune),
        Route::get("/images/get", ImagesSave),
        Route::post("/images/load", ImageLoad).taking(Taking::Stream),
        Route::get("/images/search", Unimplemented("image search")),
        Route::post("/auth", Unimplemented("registry login")).taking(Taking::Nothing),
        Route::post("/build", Unimplemented("image build")).taking(Taking::Nothing),
        Route::post("/build/prune", Unimplemented("build cache prune")).taking(Taking::Nothing),
        Route::post("/build/cancel", Unimplemented("build cancel")).taking(Taking::Nothing),
        Route::post("/commit", ContainerCommit),
        Route::post("/containers/create", ContainerCreate),
        Route::post("/containers/prune", ContainerPrune),
        Route::get("/events", Unimplemented("the event stream")),
        Route::get("/system/df", Unimplemented("disk usage")),
        Route::delete("/images/**", ImageRemove),
        Route::get("/images/**/json", ImageInspect).with(Shared, &["manifests"]),
        Route::get("/images/**/history", ImageHistory).with(Shared, &[]),
        Route::post("/images/**/tag", ImageTag),
        Route::get("/images/**/get", ImageSave),
        Route::post("/images/**/push", ImagePush),
        Route::get(
            "/distribution/**/json",
            Unimplemented("distribution inspect"),
        ),
        Route::delete("/containers/**", Container(Remove)),
        Route::get("/containers/**/json", Container(Inspect)).with(Shared, &["size"]),
        Route::get("/containers/**/changes", Container(Changes)),
        Route::get("/containers/**/export", Container(Export)),
        Route::get("/containers/**/logs", Container(Logs)),
        Route::head("/containers/**/archive", Container(Stat)),
        Route::get("/containers/**/archive", Container(CopyOut)),
        Route::put("/containers/**/archive", Container(CopyIn)).taking(Taking::Stream),
        Route::get("/containers/**/top", Container(Process(P::Top))),
        Route::get("/containers/**/stats", Container(Process(P::Stats))),
        Route::post("/containers/**/start", Container(Process(P::Start))),
        Route::post("/containers/**/restart", Container(Process(P::Restart))),
        Route::post("/containers/**/stop", Container(Process(P::Stop))),
        Route::post("/containers/**/kill", Container(Process(P::Kill))),
        Route::post("/containers/**/pause", Container(Process(P::Pause))),
        Route::post("/containers/**/unpause", Container(Process(P::Unpause))),
        Route::post("/containers/**/wait", Container(Process(P::Wait))).with(Waiting, &[]),
        Route::post("/containers/**/attach", Container(Process(P::Attach))),
        Route::post("/containers/**/resize", Container(Process(P::Resize))),
        Route::post("/containers/**/exec", Container(Process(P::Exec))),
        Route::post("/containers/**/rename", Container(Process(P::Rename))),
        Route::post("/containers/**/update", Container(Process(P::Update))),
        Route::get("/networks/**", Network),
        Route::delete("/networks/**", Network),
        Route::get("/volumes/**", Volume),
        Route::delete("/volumes/**", Volume),
        Route::get("/plugins/**/json", Plugin),
    ]
};

/// The requests that may share an instance, with and without a version.
pub fn shapes() -> impl Iterator<Item = Shape> {
    let versions = ["", "/v*"].into_iter();
    versions.flat_map(|version| ROUTES.iter().filter_map(move |route| route.shape(version)))
}

/// The route of a decoded path without version, and the name in it; `None` if there is none.
pub(crate) fn find<'a>(
    method: &Method,
    path: &'a str,
) -> Option<(&'static Route<Operation>, &'a str)> {
    let found = strata_http::find(ROUTES, method, path)?;
    // Networks have no slashes within their names.
    let is_path = found.1.contains('/') && !found.1.ends_with('/');
    (!is_path || found.0.operation != Operation::Network).then_some(found)
}

/// Splits `/v1.41/images/json` into `1.41` and `/images/json`. A path without version is all path.
pub(crate) fn split_version(path: &str) -> (Option<&str>, &str) {
    let versioned = || {
        let rest = path.strip_prefix("/v")?;
        let (version, _) = rest.split_once('/')?;
        let numeric = version.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        (numeric && !version.is_empty()).then_some((version, &rest[version.len()..]))
    };
    match versioned() {
        Some((version, path)) => (Some(version), path),
        None => (None, path),
    }
}

#[cfg(test)]
mod tests;
