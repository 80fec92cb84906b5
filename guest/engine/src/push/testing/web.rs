//! A network that answers by script and remembers what it was asked.

use std::{cell::RefCell, rc::Rc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};

use super::VirtualClock;
use crate::{
    Body as _, Clock as _, Error, Request, RequestBody, Response, Result, Transport, Zone,
    memory::Bytes,
};

/// How long a request takes.
const LATENCY: Duration = Duration::from_millis(40);

/// One request, its body read to the end.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// `METHOD path?query`, with the host where that is not `r.example`; digests
    /// shortened.
    pub(crate) fn line(&self) -> String {
        let uri = self.uri.to_string();
        let uri = uri.strip_prefix("https://").unwrap_or(&uri);
        let uri = uri.strip_prefix("r.example/v2/").unwrap_or(uri);
        let mut line = String::new();
        let mut parts = uri.split("sha256:");
        line.push_str(parts.next().unwrap());
        for part in parts {
            let (digest, rest) = part.split_at(64);
            line.push_str(&digest[..12]);
            line.push_str(rest);
        }
        format!("{} {line}", self.method)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    pub(crate) fn host(&self) -> &str {
        self.uri.host().unwrap()
    }

    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.uri.to_string().contains(part)
    }

    /// The value of a parameter in the query.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .uri
            .query()?
            .split('&')
            .filter_map(|it| it.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The same request, of whose body only this much arrived.
    pub(crate) fn cut_after(&self, length: usize) -> Self {
        let mut cut = self.clone();
        cut.body.truncate(length);
        cut
    }
}

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    error: Option<Error>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            error: None,
        }
    }

    /// The connection breaks before an answer.
    pub(crate) fn cut() -> Self {
        let error = Error::Unavailable("connection cut".to_owned());
        Self {
            error: Some(error),
            ..Self::status(0)
        }
    }

    /// A registry's error.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        let message = code.to_lowercase().replace('_', " ");
        let errors = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
        Self::status(status).body(errors.to_string())
    }

    pub(crate) fn unauthorized(challenge: &str) -> Self {
        Self::status(401).header("www-authenticate", challenge)
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let found = headers.find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// What answers.
type Script = dyn FnMut(&Asked) -> Reply;

pub(crate) struct Web {
    clock: Rc<VirtualClock>,
    pub(crate) log: RefCell<Vec<Asked>>,
    answer: RefCell<Box<Script>>,
}

impl Web {
    pub(crate) fn new(
        clock: Rc<VirtualClock>,
        answer: impl FnMut(&Asked) -> Reply + 'static,
    ) -> Self {
        Self {
            clock,
            log: RefCell::default(),
            answer: RefCell::new(Box::new(answer)),
        }
    }
}

impl Transport for Rc<Web> {
    type Body = Bytes;

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
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
        };
        if ["POST", "PUT", "PATCH"].contains(&asked.method.as_str()) && asked.host() == "r.example"
        {
            let length = asked.header("content-length").map(str::to_owned);
            assert_eq!(
                length,
                Some(asked.body.len().to_string()),
                "{}",
                asked.line()
            );
        }
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
        Ok(Response {
            status: StatusCode::from_u16(reply.status).unwrap(),
            headers: headers.collect(),
            body: Bytes::of(body),
            zone: Zone::Public,
        })
    }
}
