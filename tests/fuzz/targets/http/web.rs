//! The web: what a script says its registries answer.

use std::{cell::Cell, cell::RefCell, rc::Rc};

use http::{Method, StatusCode};
use strata_engine::{
    Body as _, Error, Request, RequestBody, Response, Result, Transport, Zone, memory::Bytes,
};
use strata_oci::Digest;

use crate::script::Reply;

/// The most requests that one of a client may lead to.
const MOST: usize = 20_000;

/// Clones share their replies.
#[derive(Clone)]
pub(crate) struct Web(Rc<State>);

struct State {
    replies: RefCell<Vec<Reply>>,
    asked: Cell<usize>,
    size: usize,
}

impl Web {
    /// A web whose bodies come in pieces of `size` bytes.
    pub(crate) fn new(replies: Vec<Reply>, size: usize) -> Self {
        Self(Rc::new(State {
            replies: RefCell::new(replies),
            asked: Cell::default(),
            size,
        }))
    }

    /// How many requests came here.
    pub(crate) fn asked(&self) -> usize {
        self.0.asked.get()
    }

    /// The bytes of a digest in the address; else the reply for that place; else the next one of those without a place.
    fn find(&self, address: &str) -> Option<Reply> {
        let mut replies = self.0.replies.borrow_mut();
        let digest = address.rsplit(['/', '?', '=']).find(|it| it.contains(':'));
        let digest: Option<Digest> = digest.and_then(|it| it.parse().ok());
        if let Some(digest) = digest
            && let Some(found) = replies.iter().find(|it| digest.verifies(&it.body))
        {
            return Some(Reply {
                status: StatusCode::OK,
                ..found.clone()
            });
        }
        let is_there = |it: &&Reply| !it.place.is_empty() && address.contains(&it.place);
        if let Some(found) = replies.iter().find(is_there) {
            return Some(found.clone());
        }
        let next = replies.iter().position(|it| it.place.is_empty())?;
        Some(replies.remove(next))
    }
}

impl Transport for Web {
    type Body = Bytes;
    type Error = Error;

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>> {
        let asked = self.asked() + 1;
        self.0.asked.set(asked);
        assert!(asked < MOST, "asks without end: {}", request.uri);
        if let RequestBody::Stream(mut body, length) = request.body {
            let mut sent = 0;
            while let Some(chunk) = body.chunk().await? {
                sent += chunk.len() as u64;
            }
            assert_eq!(sent, length, "of what is sent to {}", request.uri);
        }
        let Some(reply) = self.find(&request.uri.to_string()) else {
            return Err(Error::Unavailable("no network".to_owned()));
        };
        let body = match request.method == Method::HEAD {
            true => Vec::new(),
            false => reply.body,
        };
        Ok(Response {
            status: reply.status,
            headers: reply.headers,
            body: Bytes::in_pieces(body, self.0.size),
            zone: Zone::Public,
        })
    }
}
