//! Which requests may share an instance: what the component says, matched by method and path.
//!
//! The host knows nothing of what a path means. Everything the component does not name, whatever has
//! a body, and whatever is asked at length gets an instance of its own.

use http::{Method, Request, Uri};
use http_body::Body;

use crate::bindings::exports::strata::image::isolation::{Company, Shape};

/// Longest path and query that may be asked of an instance others use: what is longer asks for much,
/// thousands of patterns for example.
const LONGEST_SHARED: usize = 2 << 10;

/// Where a request is handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// With others that take no time at all.
    Instant,
    /// With other small reads.
    Shared,
    /// With others that wait.
    Waiting,
    /// In an instance of its own.
    Own,
}

/// What the component says, read once.
pub(super) struct Lanes(Vec<Pattern>);

struct Pattern {
    method: Method,
    segments: Vec<String>,
    /// Parameters that make it larger than it looks.
    unless: Vec<String>,
    lane: Lane,
}

impl Lanes {
    /// Shapes as the component lists them; what is no method is matched by nothing.
    pub(super) fn new(shapes: Vec<Shape>) -> Self {
        let pattern = |shape: Shape| {
            Some(Pattern {
                method: Method::from_bytes(shape.method.as_bytes()).ok()?,
                segments: shape.path.split('/').map(str::to_owned).collect(),
                unless: shape.unless,
                lane: match shape.company {
                    Company::Instant => Lane::Instant,
                    Company::Shared => Lane::Shared,
                    Company::Waiting => Lane::Waiting,
                },
            })
        };
        Self(shapes.into_iter().filter_map(pattern).collect())
    }

    /// Where `request` is handled.
    pub(super) fn of<B: Body>(&self, request: &Request<B>) -> Lane {
        if !request.body().is_end_stream() {
            return Lane::Own;
        }
        self.of_head(request.method(), request.uri())
    }

    fn of_head(&self, method: &Method, uri: &Uri) -> Lane {
        let length = uri.path_and_query().map_or(0, |whole| whole.as_str().len());
        if length > LONGEST_SHARED {
            return Lane::Own;
        }
        let segments: Vec<&str> = uri.path().split('/').collect();
        let fits = |pattern: &&Pattern| {
            pattern.method == method
                && matches(&pattern.segments, &segments)
                && !has_any(uri.query().unwrap_or_default(), &pattern.unless)
        };
        self.0
            .iter()
            .find(fits)
            .map_or(Lane::Own, |pattern| pattern.lane)
    }
}

/// Whether a path has the form of a pattern, in which `**` is one segment or several, and a `*` at
/// the end of a segment is any rest of it.
fn matches(pattern: &[String], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        ([first, rest @ ..], [segment, ..]) if first == "**" => {
            !segment.is_empty() && (1..=path.len()).any(|count| matches(rest, &path[count..]))
        }
        ([first, rest @ ..], [segment, others @ ..]) => {
            let fits = match first.strip_suffix('*') {
                Some(start) => segment.starts_with(start) && segment.len() > start.len(),
                None => first == segment,
            };
            fits && matches(rest, others)
        }
        _ => false,
    }
}

/// Whether a query has one of the parameters.
fn has_any(query: &str, names: &[String]) -> bool {
    let name = |parameter: &str| {
        let name = parameter.split('=').next().unwrap_or_default();
        names.iter().any(|unless| unless == name)
    };
    !names.is_empty() && query.split('&').any(name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_not_named_is_alone() {
        let shape = |method: &str, path: &str, company, unless: &[&str]| Shape {
            method: method.into(),
            path: path.into(),
            company,
            unless: unless.iter().map(|name| (*name).to_owned()).collect(),
        };
        let lanes = Lanes::new(vec![
            shape("GET", "/_ping", Company::Instant, &[]),
            shape("GET", "/v*/_ping", Company::Instant, &[]),
            shape("GET", "/images/**/json", Company::Shared, &["manifests"]),
            shape("GET", "/images/json", Company::Shared, &["manifests"]),
            shape("POST", "/containers/*/wait", Company::Waiting, &[]),
        ]);
        let long = format!("/images/json?filters={}", "a".repeat(LONGEST_SHARED));
        for (method, uri, expected) in [
            ("GET", "/_ping", Lane::Instant),
            ("GET", "/v1.54/_ping?x", Lane::Instant),
            ("POST", "/_ping", Lane::Own),
            ("GET", "/v/_ping", Lane::Own),
            ("GET", "/_ping/", Lane::Own),
            ("GET", "/images/json", Lane::Shared),
            ("GET", "/images/json?all=1", Lane::Shared),
            ("GET", "/images/json?all=1&manifests=1", Lane::Own),
            ("GET", "/images/a/json", Lane::Shared),
            ("GET", "/images/docker.io/library/a:1/json", Lane::Shared),
            ("GET", "/images//json", Lane::Own),
            ("GET", "/images/a/get", Lane::Own),
            ("GET", "/images/a%2Fjson", Lane::Own),
            ("GET", &long, Lane::Own),
            ("GET", "/", Lane::Own),
            (
                "POST",
                "/containers/a/wait?condition=removed",
                Lane::Waiting,
            ),
        ] {
            let uri: Uri = uri.parse().unwrap();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(lanes.of_head(&method, &uri), expected, "{method} {uri}");
        }
    }
}
