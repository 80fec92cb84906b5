//! Heads of requests, parsed once.

use http::{HeaderMap, Method};

use crate::query::{self, Malformed, Query};

/// The head of a request. What is malformed in its target is told when a face asks for it, since a face may
/// look at other things first.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// The path, percent-decoded.
    pub path: Result<String, Malformed>,
    /// The parameters of the target.
    pub query: Result<Query, Malformed>,
    /// The headers.
    pub headers: HeaderMap,
}

impl Head {
    /// Parses a target, which is as on the wire, percent-encoding and all.
    pub fn new(method: Method, target: &str, headers: HeaderMap) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: query::decode(path),
            query: Query::parse(query),
            headers,
        }
    }
}
