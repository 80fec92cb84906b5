//! Request bodies in pieces worth their way into the component.
//!
//! hyper passes a body on as it comes off the socket, often some kilobytes at a time, and each
//! piece costs a switch to the component and back. A task of its own reads ahead: while the
//! component is busy, what arrives becomes one larger piece; while it waits, nothing is held back.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::mpsc::{self, error::TrySendError};
use wasmtime_wasi_http::{Error as WireError, WasiBody};

/// Bytes after which a piece is large enough. A body that is known to be no larger is passed on as
/// it is.
const PIECE: usize = 256 * 1024;
/// How long, and for how many bytes, a client is listened to that sends on what nobody wants: one
/// that is cut off while it sends may not read the answer that tells it why.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 256 * 1024 * 1024;
/// Pieces that wait for the component, each at most [`PIECE`] and one read.
const WAITING: usize = 2;

type Piece = Result<Frame<Bytes>, WireError>;

/// The same body in larger pieces.
pub(super) fn gathered(body: Incoming) -> WasiBody {
    let hint = body.size_hint();
    if hint.upper().is_some_and(|size| size <= PIECE as u64) {
        return body.map_err(Into::into).boxed_unsync();
    }
    let (sender, pieces) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        let mut body = body;
        if let Read::Unwanted = read(&mut body, &sender).await {
            let _ = tokio::time::timeout(LINGER, drain(&mut body)).await;
        }
    });
    Gathered { pieces, hint }.boxed_unsync()
}

/// How reading ended.
enum Read {
    /// All was read, or the client went away.
    Whole,
    /// Nobody wants the rest.
    Unwanted,
}

/// Reads the rest and forgets it.
async fn drain(body: &mut Incoming) {
    let mut left = LINGER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let size = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(size) {
            Some(less) => left = less,
            None => return,
        }
    }
}

/// Reads to the end, or until nobody wants the rest.
async fn read(body: &mut Incoming, pieces: &mpsc::Sender<Piece>) -> Read {
    let mut held = BytesMut::new();
    loop {
        let frame = if held.is_empty() {
            body.frame().await
        } else {
            tokio::select! {
                biased;
                room = pieces.reserve() => {
                    let Ok(room) = room else { return Read::Unwanted };
                    room.send(Ok(Frame::data(held.split().freeze())));
                    continue;
                }
                frame = body.frame(), if held.len() < PIECE => frame,
            }
        };
        let piece = match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                match pieces.try_reserve() {
                    Ok(room) if held.is_empty() => room.send(Ok(Frame::data(data))),
                    Err(TrySendError::Closed(())) => return Read::Unwanted,
                    _ => held.extend_from_slice(&data),
                }
                continue;
            }
            Some(Ok(Err(trailers))) => Some(Ok(trailers)),
            Some(Err(error)) => Some(Err(error.into())),
            None => None,
        };
        if !held.is_empty() {
            let rest = Frame::data(held.split().freeze());
            if pieces.send(Ok(rest)).await.is_err() {
                return Read::Unwanted;
            }
        }
        let Some(piece) = piece else {
            return Read::Whole;
        };
        let is_last = piece.is_err();
        if pieces.send(piece).await.is_err() || is_last {
            return Read::Whole;
        }
    }
}

/// What was read.
struct Gathered {
    pieces: mpsc::Receiver<Piece>,
    hint: SizeHint,
}

impl Body for Gathered {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.pieces.poll_recv(cx)
    }

    /// Of the whole body: asked for once, before the first piece.
    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
