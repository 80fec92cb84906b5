//! From method and path to an operation (§1.1 of the contract).
//!
//! Image names contain raw slashes, so the router looks at the last segment; paths without a name win.
//! A wrong method is an unknown path.

use http::Method;

use crate::{
    failure::Failure,
    images,
    query::{self, Query},
};

mod container;

pub(crate) use container::{ContainerRoute, Process};

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Ping,
    Version,
    Info,
    ContainerList,
    ContainerCreate,
    ContainerPrune,
    ContainerCommit,
    /// About the container of this name.
    Container(String, ContainerRoute),
    Network(String),
    Volume(String),
    Plugin(String),
    ImageList,
    ImageCreate,
    ImagePrune,
    ImageLoad,
    /// The images are in the query, or named by the path.
    ImageSave(Option<String>),
    ImageInspect(String),
    ImageHistory(String),
    ImageTag(String),
    ImageRemove(String),
    ImagePush(String),
    /// An operation of the API that is not served yet, as people call it.
    Unimplemented(&'static str),
}

/// Whether the body of a request must reach [`respond`](crate::respond) as
/// [`RequestBody::Stream`](crate::RequestBody::Stream). All others are small, and wanted as
/// [`RequestBody::Bytes`](crate::RequestBody::Bytes).
pub fn streams_body(method: &Method, path_and_query: &str) -> bool {
    let Ok(path) = decoded_path(path_and_query) else {
        return false;
    };
    let (_, path) = split_version(&path);
    match resolve(method, path) {
        Some(Route::ImageLoad | Route::Container(_, ContainerRoute::CopyIn)) => true,
        Some(Route::ImageCreate) => {
            let query = Query::in_path(path_and_query);
            query.is_ok_and(|query| images::has_archive(&query))
        }
        _ => false,
    }
}

/// Whether anything reads the body of a request. What is not served is answered without: a client may
/// send an archive with it.
pub fn reads_body(method: &Method, path_and_query: &str) -> bool {
    let Ok(path) = decoded_path(path_and_query) else {
        return false;
    };
    let (_, path) = split_version(&path);
    !matches!(resolve(method, path), None | Some(Route::Unimplemented(_)))
}

/// The path of a request, percent-decoded.
///
/// # Errors
/// 400 for a broken escape.
pub(crate) fn decoded_path(path_and_query: &str) -> Result<String, Failure> {
    query::decode(path_and_query.split('?').next().unwrap_or_default())
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

/// The operation at a decoded path without version; `None` if there is none.
pub(crate) fn resolve(method: &Method, path: &str) -> Option<Route> {
    fixed(method, path).or_else(|| named(method, path))
}

fn fixed(method: &Method, path: &str) -> Option<Route> {
    let route = match (method.as_str(), path) {
        ("GET" | "HEAD", "/_ping") => Route::Ping,
        ("GET", "/version") => Route::Version,
        ("GET", "/info") => Route::Info,
        ("GET", "/containers/json") => Route::ContainerList,
        ("GET", "/images/json") => Route::ImageList,
        ("POST", "/images/create") => Route::ImageCreate,
        ("POST", "/images/prune") => Route::ImagePrune,
        ("GET", "/images/get") => Route::ImageSave(None),
        ("POST", "/images/load") => Route::ImageLoad,
        ("GET", "/images/search") => Route::Unimplemented("image search"),
        ("POST", "/auth") => Route::Unimplemented("registry login"),
        ("POST", "/build") => Route::Unimplemented("image build"),
        ("POST", "/build/prune") => Route::Unimplemented("build cache prune"),
        ("POST", "/build/cancel") => Route::Unimplemented("build cancel"),
        ("POST", "/commit") => Route::ContainerCommit,
        ("POST", "/containers/create") => Route::ContainerCreate,
        ("POST", "/containers/prune") => Route::ContainerPrune,
        ("GET", "/events") => Route::Unimplemented("the event stream"),
        ("GET", "/system/df") => Route::Unimplemented("disk usage"),
        _ => return None,
    };
    Some(route)
}

fn named(method: &Method, path: &str) -> Option<Route> {
    let rest = path.strip_prefix('/')?;
    let (kind, rest) = rest.split_once('/')?;
    // `rest` holds a name and, for some kinds, a verb as its last segment.
    let (name, verb) = rest.rsplit_once('/').unwrap_or((rest, ""));
    let route = match (method.as_str(), kind, verb) {
        ("DELETE", "images", _) => Route::ImageRemove(rest.to_owned()),
        ("GET", "images", "json") => Route::ImageInspect(name.to_owned()),
        ("GET", "images", "history") => Route::ImageHistory(name.to_owned()),
        ("POST", "images", "tag") => Route::ImageTag(name.to_owned()),
        ("GET", "images", "get") => Route::ImageSave(Some(name.to_owned())),
        ("POST", "images", "push") => Route::ImagePush(name.to_owned()),
        ("GET", "distribution", "json") => Route::Unimplemented("distribution inspect"),
        ("DELETE", "containers", _) => Route::Container(rest.to_owned(), ContainerRoute::Remove),
        (method, "containers", verb) => {
            Route::Container(name.to_owned(), ContainerRoute::of(method, verb)?)
        }
        ("GET" | "DELETE", "networks", "") => Route::Network(rest.to_owned()),
        ("GET" | "DELETE", "volumes", _) => Route::Volume(rest.to_owned()),
        ("GET", "plugins", "json") => Route::Plugin(name.to_owned()),
        _ => return None,
    };
    Some(route)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_digits_and_dots() {
        for (path, expected) in [
            ("/v1.41/images/json", (Some("1.41"), "/images/json")),
            ("/v1/images/json", (Some("1"), "/images/json")),
            ("/images/json", (None, "/images/json")),
            ("/v1.41", (None, "/v1.41")),
            ("/v1.x/images/json", (None, "/v1.x/images/json")),
            ("/v/images/json", (None, "/v/images/json")),
            ("/version", (None, "/version")),
            ("/volumes/x", (None, "/volumes/x")),
        ] {
            assert_eq!(split_version(path), expected, "{path}");
        }
    }

    #[test]
    fn names_keep_their_slashes_and_fixed_paths_win() {
        let name = || "docker.io/library/alpine:3".to_owned();
        for (method, path, expected) in [
            (Method::GET, "/images/json", Some(Route::ImageList)),
            (
                Method::GET,
                "/images/docker.io/library/alpine:3/json",
                Some(Route::ImageInspect(name())),
            ),
            (
                Method::GET,
                "/images/docker.io/library/alpine:3/history",
                Some(Route::ImageHistory(name())),
            ),
            (
                Method::POST,
                "/images/docker.io/library/alpine:3/tag",
                Some(Route::ImageTag(name())),
            ),
            (
                Method::DELETE,
                "/images/docker.io/library/alpine:3",
                Some(Route::ImageRemove(name())),
            ),
            (
                Method::GET,
                "/images/json/json",
                Some(Route::ImageInspect("json".to_owned())),
            ),
            (
                Method::DELETE,
                "/images/json",
                Some(Route::ImageRemove("json".to_owned())),
            ),
            (
                Method::DELETE,
                "/images/",
                Some(Route::ImageRemove(String::new())),
            ),
            (
                Method::GET,
                "/images/search",
                Some(Route::Unimplemented("image search")),
            ),
            (
                Method::GET,
                "/images/a/b/get",
                Some(Route::ImageSave(Some("a/b".to_owned()))),
            ),
            (Method::GET, "/images/get", Some(Route::ImageSave(None))),
            (
                Method::GET,
                "/images/get/get",
                Some(Route::ImageSave(Some("get".to_owned()))),
            ),
            (Method::POST, "/images/load", Some(Route::ImageLoad)),
            (
                Method::POST,
                "/images/a/b/push",
                Some(Route::ImagePush("a/b".to_owned())),
            ),
            (Method::GET, "/containers/json", Some(Route::ContainerList)),
            (
                Method::GET,
                "/containers/a/b/json",
                Some(Route::Container("a/b".to_owned(), ContainerRoute::Inspect)),
            ),
            (
                Method::GET,
                "/containers//a/json",
                Some(Route::Container("/a".to_owned(), ContainerRoute::Inspect)),
            ),
            (
                Method::DELETE,
                "/containers//a",
                Some(Route::Container("/a".to_owned(), ContainerRoute::Remove)),
            ),
            (
                Method::POST,
                "/containers/create/start",
                Some(Route::Container(
                    "create".to_owned(),
                    ContainerRoute::Process(Process::Start),
                )),
            ),
            (
                Method::POST,
                "/containers/create",
                Some(Route::ContainerCreate),
            ),
            (
                Method::POST,
                "/containers/prune",
                Some(Route::ContainerPrune),
            ),
            (Method::POST, "/commit", Some(Route::ContainerCommit)),
            (Method::HEAD, "/_ping", Some(Route::Ping)),
        ] {
            assert_eq!(resolve(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_wrong_method_is_an_unknown_path() {
        for (method, path) in [
            (Method::POST, "/images/json"),
            (Method::GET, "/images/create"),
            (Method::GET, "/images/alpine"),
            (Method::GET, "/images/load"),
            (Method::POST, "/images/get"),
            (Method::GET, "/images/alpine/push"),
            (Method::PUT, "/images/alpine/tag"),
            (Method::HEAD, "/version"),
            (Method::POST, "/_ping"),
            (Method::GET, "/"),
            (Method::GET, "/nothing"),
            (Method::GET, "/containers/a/nothing"),
            (Method::GET, "/containers/a/start"),
            (Method::POST, "/containers/a/archive"),
            (Method::GET, "/containers/create"),
            (Method::GET, "/commit"),
        ] {
            assert_eq!(resolve(&method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_served_is_not_read() {
        for (method, path, expected) in [
            (Method::POST, "/build?t=a", false),
            (Method::POST, "/v1.54/auth", false),
            (Method::POST, "/nothing", false),
            (Method::POST, "/images/load", true),
            (Method::POST, "/containers/create", true),
            (Method::POST, "/images/prune", true),
        ] {
            assert_eq!(reads_body(&method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn only_archives_are_streamed() {
        for (method, path, expected) in [
            (Method::POST, "/images/load", true),
            (Method::POST, "/v1.41/images/load?quiet=1", true),
            (Method::POST, "/v1.51/images%2Fload", true),
            (Method::GET, "/images/load", false),
            (Method::POST, "/images/load/tag", false),
            (Method::POST, "/images/a/push?tag=load", false),
            (Method::POST, "/images/prune", false),
            (Method::POST, "/images/create?fromSrc=-", true),
            (
                Method::POST,
                "/v1.24/images/create?repo=a&fromSrc=%2D",
                true,
            ),
            (
                Method::POST,
                "/images/create?fromImage=&fromSrc=-&fromSrc=b",
                true,
            ),
            (Method::POST, "/images/create?fromSrc=b&fromSrc=-", false),
            (Method::POST, "/images/create?fromSrc=http://a/b.tar", false),
            (Method::POST, "/images/create?fromImage=a&fromSrc=-", false),
            (Method::POST, "/images/create?fromImage=a", false),
            (Method::POST, "/images/create?fromSrc=-&tag=%zz", false),
            (Method::POST, "/images/create", false),
            (Method::GET, "/images/create?fromSrc=-", false),
            (Method::PUT, "/containers/a/archive?path=/", true),
            (Method::PUT, "/v1.54/containers/a%2Fb/archive", true),
            (Method::GET, "/containers/a/archive?path=/", false),
            (Method::HEAD, "/containers/a/archive?path=/", false),
            (Method::PUT, "/containers/archive", false),
            (Method::POST, "/containers/create", false),
            (Method::POST, "/commit?container=a", false),
            (Method::POST, "/images/%zz/load", false),
            (Method::POST, "", false),
        ] {
            assert_eq!(streams_body(&method, path), expected, "{method} {path}");
        }
    }
}
