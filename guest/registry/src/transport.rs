//! How a client talks HTTP: one request, one response, nothing remembered.
//! Connections are pooled by whoever implements the transport. Redirects, authentication and
//! retries are the client's own.

use http::{HeaderMap, Method, StatusCode, Uri};

use crate::LentError;

/// A body that is read once, in chunks.
pub trait Body {
    /// What a failed body says.
    type Error;

    /// The next bytes, `None` at the end.
    ///
    /// # Errors
    /// Where the transfer was cut, one that [passes](LentError::passes).
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Self::Error>;
}
/// An outgoing request.
pub struct Request<B> {
    /// The method.
    pub method: Method,
    /// Absolute, `http` or `https`.
    pub uri: Uri,
    /// Without `Host`.
    pub headers: HeaderMap,
    /// What to send.
    pub body: RequestBody<B>,
    /// Where it may go.
    pub reach: Reach,
}

/// The addresses a request may go to. The host judges which one an address is, since it
/// resolves names and connects; the engine only passes on who named the address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// Any the host allows: a person or a setting named it.
    #[default]
    Any,
    /// Those that a peer in this zone may name: public ones, and those of the zones it
    /// is in itself. A peer out there cannot have something fetched that only this
    /// network can reach.
    From(Zone),
}

impl Reach {
    /// Public addresses only: a stranger chose it, such as the author of a manifest.
    pub const PUBLIC: Self = Self::From(Zone::Public);
}

/// The network a peer is in, as the host saw when it connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zone {
    /// The internet, and wherever the host does not say.
    #[default]
    Public,
    /// A private network.
    Private,
    /// The same link, where clouds answer questions about their machines.
    LinkLocal,
    /// This machine.
    Loopback,
}

/// What a request carries.
pub enum RequestBody<B> {
    /// Nothing.
    Empty,
    /// Bytes at hand.
    Bytes(Vec<u8>),
    /// A stream of exactly this many bytes.
    Stream(B, u64),
}

/// An answer whose body has not been read yet.
pub struct Response<B> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: B,
    /// Where the peer is, and so what it may name.
    pub zone: Zone,
}

/// Sends requests.
pub trait Transport {
    /// What responses carry.
    type Body: Body<Error = Self::Error>;
    /// What is said where there is no answer, and of bodies.
    type Error: LentError;

    /// Sends one request and waits for the head of the answer.
    ///
    /// # Errors
    /// One that [passes](LentError::passes) if there is no answer (refused, cut, timed out, TLS
    /// failure), another if the host does not allow this address.
    async fn send(&self, request: Request<Self::Body>)
    -> Result<Response<Self::Body>, Self::Error>;
}
