//! Routes: what a face lists once, about each form of requests, for all who ask.

use http::Method;

use crate::{query::Query, request::Head};

/// A form of requests: what is asked for, and how it is taken. `O` is a face's operation.
#[derive(Clone, Copy, Debug)]
pub struct Route<O> {
    method: &'static str,
    /// With at most one `**`.
    path: &'static str,
    taking: Taking,
    /// With which parameters of the target the body is taken as it comes instead.
    streams: Option<fn(&Query) -> bool>,
    company: Option<Company>,
    unless: &'static [&'static str],
    /// What is asked for.
    pub operation: O,
}

/// How the body of a request is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// Not at all, whatever a client sends.
    Nothing,
    /// As a whole, of at most [`MAX_WHOLE_BODY`](crate::MAX_WHOLE_BODY).
    Whole,
    /// As it comes.
    Stream,
}

/// With whom a request may share an instance of the component. Unless a route says it, a request runs
/// alone, so that whatever becomes of it becomes of nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// With others that read nothing, and are answered whatever else runs.
    Instant,
    /// With others that read little and change nothing.
    Shared,
    /// With others that wait for as long as it takes.
    Waiting,
}

/// Requests that may share an instance, as `wit/isolation.wit` describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The method.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// With whom.
    pub company: Company,
    /// Parameters with which it is no small request.
    pub unless: &'static [&'static str],
}

impl<O> Route<O> {
    /// A `GET` of a path, in which `**` is a name that may contain slashes.
    pub const fn get(path: &'static str, operation: O) -> Self {
        Self::new("GET", path, Taking::Nothing, operation)
    }

    /// A `HEAD` of such a path.
    pub const fn head(path: &'static str, operation: O) -> Self {
        Self::new("HEAD", path, Taking::Nothing, operation)
    }

    /// A `POST` to such a path, whose body is taken as a whole.
    pub const fn post(path: &'static str, operation: O) -> Self {
        Self::new("POST", path, Taking::Whole, operation)
    }

    /// A `PUT` to such a path, whose body is taken as a whole.
    pub const fn put(path: &'static str, operation: O) -> Self {
        Self::new("PUT", path, Taking::Whole, operation)
    }

    /// A `DELETE` of such a path, whose body is taken as a whole.
    pub const fn delete(path: &'static str, operation: O) -> Self {
        Self::new("DELETE", path, Taking::Whole, operation)
    }

    const fn new(method: &'static str, path: &'static str, taking: Taking, operation: O) -> Self {
        Self {
            method,
            path,
            taking,
            streams: None,
            company: None,
            unless: &[],
            operation,
        }
    }

    /// The same with its body taken in another way.
    pub const fn taking(mut self, taking: Taking) -> Self {
        self.taking = taking;
        self
    }

    /// The same, but if the parameters of the target say so, its body is taken as it comes.
    pub const fn streaming_if(mut self, streams: fn(&Query) -> bool) -> Self {
        self.streams = Some(streams);
        self
    }

    /// The same in company, unless there is one of these parameters.
    pub const fn with(mut self, company: Company, unless: &'static [&'static str]) -> Self {
        self.company = Some(company);
        self.unless = unless;
        self
    }

    /// How the body of the request with this head is taken.
    pub fn body(&self, head: &Head) -> Taking {
        match self.streams {
            Some(streams) if head.query.as_ref().is_ok_and(streams) => Taking::Stream,
            _ => self.taking,
        }
    }

    /// The shape of such requests below `prefix`; `None` if they run alone.
    pub fn shape(&self, prefix: &str) -> Option<Shape> {
        Some(Shape {
            method: self.method,
            path: format!("{prefix}{}", self.path),
            company: self.company?,
            unless: self.unless,
        })
    }

    /// The name in `path`, empty where there is none; `None` if it is another's path.
    fn name<'a>(&self, path: &'a str) -> Option<&'a str> {
        match self.path.split_once("**") {
            Some((before, after)) => path.strip_prefix(before)?.strip_suffix(after),
            None => (self.path == path).then_some(""),
        }
    }
}

/// The first of `routes` that a request takes, and the name in its decoded path.
pub fn find<'a, O>(
    routes: &'static [Route<O>],
    method: &Method,
    path: &'a str,
) -> Option<(&'static Route<O>, &'a str)> {
    let mut routes = routes.iter().filter(|route| method == route.method);
    routes.find_map(|route| Some((route, route.name(path)?)))
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    const ROUTES: &[Route<u8>] = &[
        Route::get("/a", 0).with(Company::Instant, &[]),
        Route::get("/a/all", 1),
        Route::get("/a/**/all", 2).with(Company::Shared, &["b"]),
        Route::post("/a", 3).streaming_if(|query| query.text("b") == "c"),
        Route::delete("/a/**", 4),
    ];

    #[test]
    fn names_have_slashes_and_the_first_route_wins() {
        for (method, path, expected) in [
            (Method::GET, "/a", Some((0, ""))),
            (Method::POST, "/a", Some((3, ""))),
            (Method::GET, "/a/all", Some((1, ""))),
            (Method::GET, "/a/all/all", Some((2, "all"))),
            (Method::GET, "/a/b/c/all", Some((2, "b/c"))),
            (Method::GET, "/a//all", Some((2, ""))),
            (Method::DELETE, "/a/b/all", Some((4, "b/all"))),
            (Method::DELETE, "/a/", Some((4, ""))),
            (Method::DELETE, "/a", None),
            (Method::PUT, "/a", None),
            (Method::GET, "/a/", None),
        ] {
            let found = find(ROUTES, &method, path);
            let found = found.map(|(route, name)| (route.operation, name));
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn the_target_may_say_how_a_body_is_taken() {
        for (target, taking) in [
            ("/a?b=c", Taking::Stream),
            ("/a?b=d", Taking::Whole),
            ("/a?b=c&%", Taking::Whole),
        ] {
            let head = Head::new(Method::POST, target, HeaderMap::new());
            assert_eq!(ROUTES[3].body(&head), taking, "{target}");
        }
    }

    #[test]
    fn only_who_shares_has_a_shape() {
        let shapes: Vec<_> = ROUTES.iter().filter_map(|it| it.shape("/v*")).collect();
        let shape = |path: &str, company, unless| Shape {
            method: "GET",
            path: path.to_owned(),
            company,
            unless,
        };
        assert_eq!(
            shapes,
            [
                shape("/v*/a", Company::Instant, &[]),
                shape("/v*/a/**/all", Company::Shared, &["b"]),
            ]
        );
    }
}
