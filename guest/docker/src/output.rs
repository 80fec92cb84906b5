//! Requests in, responses out. The wasm shell implements [`Output`] over its HTTP types; tests over a
//! `Vec`.

use http::{HeaderMap, Method, StatusCode};
use strata_engine::Error;

/// A request. `B` is a body that is read as it comes.
#[derive(Clone, Debug)]
pub struct Request<B> {
    /// The method.
    pub method: Method,
    /// As on the wire, percent-encoding and all.
    pub path_and_query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody<B>,
}

/// What a request carries; [`streams_body`](crate::streams_body) tells which of these it must be.
#[derive(Clone, Debug)]
pub enum RequestBody<B> {
    /// Read already; the caller bounds it (1 MiB is plenty: only forms and configs are read).
    Bytes(Vec<u8>),
    /// An archive, of any size.
    Stream(B),
}

/// The client went away, so nobody reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Takes one response: [`head`](Output::head) once, then any number of [`write`](Output::write)s and
/// [`copy`](Output::copy)s. The body ends when [`respond`](crate::respond) returns.
pub trait Output {
    /// What [`copy`](Output::copy) takes.
    type Body;

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

    /// Sends a stored body, of exactly `length` bytes, as part of this one.
    ///
    /// # Errors
    /// The inner error if `body` fails or has fewer bytes; [`Gone`] for the client.
    async fn copy(&mut self, body: Self::Body, length: u64) -> Result<Result<(), Error>, Gone>;

    /// Breaks the response off, so that no client takes what it has got for the whole body. Only called
    /// after [`head`](Output::head), for content that cannot carry an error; nothing follows it.
    async fn abort(&mut self);
}
