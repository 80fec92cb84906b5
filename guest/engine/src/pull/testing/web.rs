//! A network that answers by script and remembers what it was asked.

use std::{cell::RefCell, collections::BTreeMap, collections::VecDeque, rc::Rc, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use strata_oci::Digest;

use super::{VirtualClock, image::Made};
use crate::{Body, Clock, Error, Reach, Request, RequestBody, Response, Result, Transport, Zone};

/// How long a request, and each piece of a body, takes.
const LATENCY: Duration = Duration::from_millis(40);

/// One request.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) reach: Reach,
}

impl Asked {
    /// `METHOD scheme://host/path?query`, `https` left out.
    pub(crate) fn line(&self) -> String {
        let uri = self.uri.to_string();
        let uri = uri.strip_prefix("https://").unwrap_or(&uri);
        format!("{} {uri}", self.method)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    pub(crate) fn authorization(&self) -> Option<&str> {
        self.header("authorization")
    }

    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && self.uri.to_string().contains(part)
    }
}

/// One answer.
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// The connection breaks after the body.
    cut: bool,
    /// No answer at all.
    error: Option<Error>,
    zone: Zone,
    /// The body comes byte by byte, each after this long.
    drips: Option<Duration>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
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

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::status(200).body(body)
    }

    pub(crate) fn error(error: Error) -> Self {
        Self {
            error: Some(error),
            ..Self::status(0)
        }
    }

    /// Nobody there.
    pub(crate) fn refused() -> Self {
        Self::error(Error::Unavailable("connection refused".to_owned()))
    }

    pub(crate) fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
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

    /// From somewhere else.
    pub(crate) fn zone(mut self, zone: Zone) -> Self {
        self.zone = zone;
        self
    }

    /// Byte by byte, each after this long.
    pub(crate) fn drips(mut self, pause: Duration) -> Self {
        self.drips = Some(pause);
        self
    }

    /// Breaks after `length` bytes.
    pub(crate) fn cut_after(mut self, length: usize) -> Self {
        self.cut = true;
        self.end_after(length)
    }

    /// Ends after `length` bytes as if that were all.
    pub(crate) fn end_after(mut self, length: usize) -> Self {
        self.body.truncate(length);
        self
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
    type Body = Pieces;

    async fn send(&self, request: Request<Pieces>) -> Result<Response<Pieces>> {
        let body = match request.body {
            RequestBody::Empty => Vec::new(),
            RequestBody::Bytes(bytes) => bytes,
            RequestBody::Stream(..) => panic!("a pull sends no streams"),
        };
        let asked = Asked {
            method: request.method,
            uri: request.uri,
            headers: request.headers,
            body: String::from_utf8(body).unwrap(),
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
        let empty = asked.method == Method::HEAD;
        let mut pieces: VecDeque<Result<Vec<u8>>> = VecDeque::new();
        if !empty {
            let size = if reply.drips.is_some() { 1 } else { 1024 };
            pieces.extend(reply.body.chunks(size).map(|piece| Ok(piece.to_vec())));
        }
        if reply.cut {
            pieces.push_back(Err(Error::Unavailable("connection cut".to_owned())));
        }
        Ok(Response {
            status: StatusCode::from_u16(reply.status).unwrap(),
            headers: headers.collect(),
            body: Pieces(self.clock.clone(), pieces, reply.drips.unwrap_or(LATENCY)),
            zone: reply.zone,
        })
    }
}

pub(crate) struct Pieces(
    pub(crate) Rc<VirtualClock>,
    pub(crate) VecDeque<Result<Vec<u8>>>,
    pub(crate) Duration,
);

impl Body for Pieces {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(piece) = self.1.pop_front() else {
            return Ok(None);
        };
        self.0.sleep(self.2).await;
        piece.map(Some)
    }
}

/// An honest registry on one host, for one repository.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    /// By tag and by digest: type and bytes.
    documents: BTreeMap<String, (String, Vec<u8>)>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Origin {
    /// Offers an image under a tag.
    pub(crate) fn tagged(mut self, tag: &str, image: &Made) -> Self {
        self.add(image);
        self.document(tag, &image.media_type, &image.manifest)
    }

    /// Offers an image by digest only.
    pub(crate) fn and(mut self, image: &Made) -> Self {
        self.add(image);
        self
    }

    fn add(&mut self, image: &Made) {
        self.blobs
            .insert(image.config_digest.to_string(), image.config.clone());
        for layer in &image.layers {
            self.blobs
                .insert(Digest::sha256(layer).to_string(), layer.clone());
        }
        let document = (image.media_type.clone(), image.manifest.clone());
        self.documents.insert(image.digest.to_string(), document);
    }

    /// Offers any document under a tag and its digest.
    pub(crate) fn document(mut self, tag: &str, media_type: &str, bytes: &[u8]) -> Self {
        for name in [tag.to_owned(), Digest::sha256(bytes).to_string()] {
            let document = (media_type.to_owned(), bytes.to_vec());
            self.documents.insert(name, document);
        }
        self
    }

    pub(crate) fn answer(&self, asked: &Asked) -> Reply {
        let path = asked.uri.path();
        let name = path.rsplit('/').next().unwrap();
        if path.contains("/manifests/") {
            return match self.documents.get(name) {
                Some((media_type, bytes)) => Reply::ok(bytes.clone())
                    .header("content-type", media_type)
                    .header("content-length", &bytes.len().to_string())
                    .header("docker-content-digest", Digest::sha256(bytes).as_str()),
                None => Reply::status(404).body(
                    r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#,
                ),
            };
        }
        if path.ends_with("/tags/list") {
            let tags: Vec<&String> = self
                .documents
                .keys()
                .filter(|name| !name.contains(':'))
                .collect();
            return Reply::ok(serde_json::json!({ "tags": tags }).to_string());
        }
        match self.blobs.get(name) {
            Some(bytes) => ranged(bytes, asked),
            None => Reply::status(404).body(
                r#"{"errors":[{"code":"BLOB_UNKNOWN","message":"blob unknown to registry"}]}"#,
            ),
        }
    }
}

fn ranged(bytes: &[u8], asked: &Asked) -> Reply {
    let range = asked.header("range");
    let Some(first) = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-'))
    else {
        return Reply::ok(bytes);
    };
    let first: usize = first.parse().unwrap();
    let (last, total) = (bytes.len() - 1, bytes.len());
    Reply::status(206)
        .body(&bytes[first..])
        .header("content-range", &format!("bytes {first}-{last}/{total}"))
}
