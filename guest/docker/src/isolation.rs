//! Which requests are small enough to share an instance of the component with others.
//!
//! An operation that reads what strangers wrote at length, or changes something, is not here: it
//! runs alone, so that whatever becomes of it becomes of nobody else.

/// Requests of one form, as `wit/isolation.wit` describes them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The method.
    pub method: &'static str,
    /// The path, with `*` and `**`, without the API's version.
    pub path: &'static str,
    /// Parameters with which it is no small request.
    pub unless: &'static [&'static str],
}

const fn get(path: &'static str) -> Shape {
    Shape {
        method: "GET",
        path,
        unless: &[],
    }
}

const fn get_unless(path: &'static str, unless: &'static [&'static str]) -> Shape {
    Shape {
        method: "GET",
        path,
        unless,
    }
}

/// Requests that read nothing, and are answered whatever else runs.
pub const INSTANT: [Shape; 3] = [
    get("/_ping"),
    Shape {
        method: "HEAD",
        path: "/_ping",
        unless: &[],
    },
    get("/version"),
];

/// Requests that read little and change nothing.
pub const SHARED: [Shape; 6] = [
    get_unless("/images/**/json", &["manifests"]),
    get_unless("/images/json", &["manifests", "shared-size"]),
    get("/images/**/history"),
    get_unless("/containers/*/json", &["size"]),
    get_unless("/containers/json", &["size"]),
    get("/info"),
];

/// Requests that wait for as long as it takes.
pub const WAITING: [Shape; 1] = [Shape {
    method: "POST",
    path: "/containers/*/wait",
    unless: &[],
}];

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::route::{self, ContainerRoute, Process, Route};

    #[test]
    fn what_is_shared_is_a_small_read() {
        let resolve = |shape: &Shape| {
            let path = shape.path.replace("**", "a/b").replace('*', "a");
            let method = Method::from_bytes(shape.method.as_bytes()).ok()?;
            route::resolve(&method, &path)
        };
        for shape in &INSTANT {
            let route = resolve(shape);
            assert!(
                matches!(route, Some(Route::Ping | Route::Version)),
                "{shape:?}: {route:?}"
            );
        }
        for shape in &WAITING {
            let route = resolve(shape);
            let is_wait = matches!(
                route,
                Some(Route::Container(_, ContainerRoute::Process(Process::Wait)))
            );
            assert!(is_wait, "{shape:?}: {route:?}");
        }
        for shape in &SHARED {
            let route = resolve(shape);
            assert!(
                matches!(
                    route,
                    Some(
                        Route::ImageList
                            | Route::ImageInspect(_)
                            | Route::ImageHistory(_)
                            | Route::ContainerList
                            | Route::Container(_, ContainerRoute::Inspect)
                            | Route::Info
                    )
                ),
                "{shape:?}: {route:?}"
            );
        }
    }
}
