//! Where a response goes. The wasm shell implements [`Output`] over its HTTP types; tests over a `Vec`.

use http::{HeaderMap, Method, StatusCode};

/// A request with its body read, which for the operations here is small.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// As on the wire, percent-encoding and all.
    pub path_and_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; the caller bounds it (1 MiB is plenty: only forms are read).
    pub body: Vec<u8>,
}

/// The client went away, so nobody reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Takes one response: [`head`](Output::head) once, then any number of [`write`](Output::write)s.
/// The body ends when [`respond`](crate::respond) returns.
pub trait Output {
    /// Sends status and headers.
    ///
    /// # Errors
    /// [`Gone`].
    async fn head(&mut self, status: StatusCode, headers: HeaderMap) -> Result<(), Gone>;

    /// Sends body bytes, waiting while the client is slow.
    ///
    /// # Errors
    /// [`Gone`].
    async fn write(&mut self, bytes: Vec<u8>) -> Result<(), Gone>;
}
