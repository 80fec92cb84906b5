//! Where a response goes. The wasm shell implements [`Output`] over its HTTP types; tests over a `Vec`.

use http::{HeaderMap, StatusCode};
use strata_engine::Error;

/// The client went away, so nobody reads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// Takes one response: [`head`](Output::head) once, then any number of [`write`](Output::write)s and
/// [`copy`](Output::copy)s. The body ends when the face returns.
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
