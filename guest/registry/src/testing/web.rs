//! A network that answers by script and remembers what it was asked.

use std::{cell::RefCell, rc::Rc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::{Pieces, ScriptedError, VirtualClock};
use crate::{Body as _, Clock as _, Reach, Request, RequestBody, Response, Transport, Zone};

/// How long a request, and each piece of a body, takes.
const LATENCY: Duration = Duration::from_millis(40);
/// Bytes of a piece.
const PIECE: usize = 1024;

/// One request, its body read to the end.
#[derive(Clone)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its address.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
    /// Where it might have gone.
    pub reach: Reach,
}

impl Asked {
    /// `METHOD scheme://host/path?query`, `https` left out.
    pub fn line(&self) -> String {
        let uri = self.uri.to_string();
        let uri = uri.strip_prefix("https://").unwrap_or(&uri);
        format!("{} {uri}", self.method)
    }

    /// `METHOD path?query`, with the host where that is not `r.example`; digests
    /// shortened.
    pub fn brief(&self) -> String {
        let line = self.line().replacen(" r.example/v2/", " ", 1);
        let mut brief = String::new();
        let mut parts = line.split("sha256:");
        brief.push_str(parts.next().unwrap());
        for part in parts {
            let (digest, rest) = part.split_at(64);
            brief.push_str(&digest[..12]);
            brief.push_str(rest);
        }
        brief
    }

    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// A header, if it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Its credentials.
    pub fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    /// Whom it went to.
    pub fn host(&self) -> &str {
        self.uri.host().unwrap()
    }

    /// Whether it has this method and `part` in its address.
    pub fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.uri.to_string().contains(part)
    }

    /// The value of a parameter in the query.
    pub fn query(&self, name: &str) -> Option<&str> {
        let pairs = self.uri.query()?.split('&');
        let mut pairs = pairs.filter_map(|it| it.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The same request, of whose body only this much arrived.
    #[must_use]
    pub fn cut_after(&self, length: usize) -> Self {
        let mut cut = self.clone();
        cut.body.truncate(length);
        cut
    }
}

/// One answer.
#[derive(Clone)]
pub struct Reply<E> {
    /// Its status.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The connection breaks after the body.
    cut: bool,
    /// No answer at all.
    error: Option<E>,
    zone: Zone,
    /// The body comes byte by byte, each after this long.
    drips: Option<Duration>,
}

impl<E> Reply<E> {
    /// An empty one.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            cut: false,
            error: None,
            zone: Zone::Public,
            drips: None,
        }
    }

    /// A good one.
    #[must_use]
    pub fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    /// A registry's error.
    #[must_use]
    pub fn error(status: u16, code: &str) -> Self {
        let message = code.to_lowercase().replace('_', " ");
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::status(status).body(errors.to_string())
    }

    /// None, and this instead.
    #[must_use]
    pub fn fails(error: E) -> Self {
        Self {
            error: Some(error),
            ..Self::status(0)
        }
    }

    /// A redirect.
    #[must_use]
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// A challenge.
    #[must_use]
    pub fn unauthorized(challenge: &str) -> Self {
        Self::status(401).header("www-authenticate", challenge)
    }

    /// With this body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// With this header, once.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this header.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    /// A header it has.
    pub fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// From somewhere else.
    #[must_use]
    pub fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Byte by byte, each after this long.
    #[must_use]
    pub fn drips(mut self, pause: Duration) -> Self {
        self.drips = Some(pause);
        self
    }

    /// Breaks after `length` bytes.
    #[must_use]
    pub fn cut_after(mut self, length: usize) -> Self {
        self.cut = true;
        self.end_after(length)
    }

    /// Ends after `length` bytes as if that were all.
    #[must_use]
    pub fn end_after(mut self, length: usize) -> Self {
        self.body.truncate(length);
        self
    }
}

impl<E: ScriptedError> Reply<E> {
    /// Nobody there.
    #[must_use]
    pub fn refused() -> Self {
        Self::fails(E::no_answer("connection refused"))
    }

    /// The connection breaks before an answer.
    #[must_use]
    pub fn cut() -> Self {
        Self::fails(E::no_answer("connection cut"))
    }
}

/// What answers.
type Script<E> = dyn FnMut(&Asked) -> Reply<E>;

/// The network.
pub struct Web<E> {
    clock: Rc<VirtualClock>,
    /// What was asked.
    pub log: RefCell<Vec<Asked>>,
    answer: RefCell<Box<Script<E>>>,
}

impl<E> Web<E> {
    /// One that answers so.
    pub fn new(clock: Rc<VirtualClock>, answer: impl FnMut(&Asked) -> Reply<E> + 'static) -> Self {
        Self {
            clock,
            log: RefCell::default(),
            answer: RefCell::new(Box::new(answer)),
        }
    }
}

impl<E: ScriptedError> Transport for Rc<Web<E>> {
    type Body = Pieces<E>;
    type Error = E;

    async fn send(&self, request: Request<Pieces<E>>) -> Result<Response<Pieces<E>>, E> {
        let body = match request.body {
            RequestBody::Empty => Vec::new(),
            RequestBody::Bytes(bytes) => bytes,
            RequestBody::Stream(mut body, length) => {
                let mut bytes = Vec::new();
                while let Some(chunk) = body.chunk().await? {
                    bytes.extend(chunk);
                }
                // The rest of a blob follows; a transport stops at the length.
                bytes.truncate(usize::try_from(length).unwrap());
                assert_eq!(bytes.len() as u64, length, "the body is too short");
                bytes
            }
        };
        let asked = Asked {
            method: request.method,
            uri: request.uri,
            headers: request.headers,
            body,
            reach: request.reach,
        };
        self.log.borrow_mut().push(asked.clone());
        let reply = (self.answer.borrow_mut())(&asked);
        self.clock.sleep(LATENCY).await;
        if let Some(error) = reply.error {
            return Err(error);
        }
        let headers = reply.headers.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        let body = match asked.method == Method::HEAD {
            true => Vec::new(),
            false => reply.body,
        };
        let (size, pause) = match reply.drips {
            Some(pause) => (1, pause),
            None => (PIECE, LATENCY),
        };
        let mut pieces = Pieces::in_pieces(body, size).timed(&self.clock, pause);
        if reply.cut {
            pieces = pieces.and(E::no_answer("connection cut"));
        }
        Ok(Response {
            status: StatusCode::from_u16(reply.status).unwrap(),
            headers: headers.collect(),
            body: pieces,
            zone: reply.zone,
        })
    }
}
