//! Which request goes where, and what becomes of its body.

use http::HeaderMap;
use strata_http::Head;

use super::{
    ContainerOperation as C,
    Operation::{
        Container, ContainerCommit, ContainerCreate, ContainerList, ContainerPrune, ImageHistory,
        ImageInspect, ImageList, ImageLoad, ImagePush, ImageRemove, ImageSave, ImageTag,
        ImagesSave, Network, Ping, Unimplemented, Volume,
    },
    *,
};
use crate::Call;

fn found<'a>(method: &Method, path: &'a str) -> Option<(Operation, &'a str)> {
    find(method, path).map(|(route, name)| (route.operation, name))
}

fn taking(method: &Method, target: &str) -> Taking {
    Call::new(Head::new(method.clone(), target, HeaderMap::new())).body()
}

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
    let name = "docker.io/library/alpine:3";
    for (method, path, expected) in [
        (Method::GET, "/images/json", Some((ImageList, ""))),
        (
            Method::GET,
            "/images/docker.io/library/alpine:3/json",
            Some((ImageInspect, name)),
        ),
        (
            Method::GET,
            "/images/docker.io/library/alpine:3/history",
            Some((ImageHistory, name)),
        ),
        (
            Method::POST,
            "/images/docker.io/library/alpine:3/tag",
            Some((ImageTag, name)),
        ),
        (
            Method::DELETE,
            "/images/docker.io/library/alpine:3",
            Some((ImageRemove, name)),
        ),
        (
            Method::GET,
            "/images/json/json",
            Some((ImageInspect, "json")),
        ),
        (Method::DELETE, "/images/json", Some((ImageRemove, "json"))),
        (Method::DELETE, "/images/", Some((ImageRemove, ""))),
        (
            Method::GET,
            "/images/search",
            Some((Unimplemented("image search"), "")),
        ),
        (Method::GET, "/images/a/b/get", Some((ImageSave, "a/b"))),
        (Method::GET, "/images/get", Some((ImagesSave, ""))),
        (Method::GET, "/images/get/get", Some((ImageSave, "get"))),
        (Method::POST, "/images/load", Some((ImageLoad, ""))),
        (Method::POST, "/images/a/b/push", Some((ImagePush, "a/b"))),
        (Method::GET, "/containers/json", Some((ContainerList, ""))),
        (
            Method::GET,
            "/containers/a/b/json",
            Some((Container(C::Inspect), "a/b")),
        ),
        (
            Method::GET,
            "/containers//a/json",
            Some((Container(C::Inspect), "/a")),
        ),
        (
            Method::DELETE,
            "/containers//a",
            Some((Container(C::Remove), "/a")),
        ),
        (
            Method::POST,
            "/containers/create/start",
            Some((Container(C::Process(Process::Start)), "create")),
        ),
        (
            Method::POST,
            "/containers/create",
            Some((ContainerCreate, "")),
        ),
        (
            Method::POST,
            "/containers/prune",
            Some((ContainerPrune, "")),
        ),
        (Method::POST, "/commit", Some((ContainerCommit, ""))),
        (Method::HEAD, "/_ping", Some((Ping, ""))),
        (Method::GET, "/networks/a", Some((Network, "a"))),
        (Method::DELETE, "/networks/", Some((Network, ""))),
        (Method::GET, "/networks/a/b/", Some((Network, "a/b/"))),
        (Method::GET, "/volumes/a/b", Some((Volume, "a/b"))),
    ] {
        assert_eq!(found(&method, path), expected, "{method} {path}");
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
        (Method::GET, "/networks/a/b"),
        (Method::GET, "/volumes"),
        (Method::GET, "/plugins/json"),
    ] {
        assert_eq!(found(&method, path), None, "{method} {path}");
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
        let is_read = taking(&method, path) != Taking::Nothing;
        assert_eq!(is_read, expected, "{method} {path}");
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
        let streams = taking(&method, path) == Taking::Stream;
        assert_eq!(streams, expected, "{method} {path}");
    }
}

#[test]
fn what_is_shared_is_a_small_read_or_a_wait() {
    for shape in shapes() {
        let path = shape.path.replace("/v*", "").replace("**", "a/b");
        let method = Method::from_bytes(shape.method.as_bytes()).unwrap();
        let operation = found(&method, &path).map(|(operation, _)| operation);
        let is_right = match shape.company {
            Instant => matches!(operation, Some(Ping | Operation::Version)),
            Waiting => operation == Some(Container(C::Process(Process::Wait))),
            Shared => matches!(
                operation,
                Some(
                    ImageList
                        | ImageInspect
                        | ImageHistory
                        | ContainerList
                        | Container(C::Inspect)
                        | Operation::Info
                )
            ),
        };
        assert!(is_right, "{shape:?}: {operation:?}");
    }
    assert_eq!(shapes().count(), 20);
}
