//! Request bodies in pieces worth their way into the component.
//!
//! hyper passes a body on as it comes off the socket, often some kilobytes at a time, and each
//! piece costs a switch to the component and back. A task of its own reads ahead: while the
//! component is busy, what arrives becomes one larger piece; while it waits, nothing is held back.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, error::TrySendError},
};
use wasmtime_wasi_http::{Error as WireError, WasiBody};

use super::{
    desk::{Desk, Wanted},
    operation::{Operation, Side},
};

/// Bytes after which a piece is large enough.
const PIECE: usize = 256 * 1024;
/// How long, and for how many bytes, a client is listened to that sends on what nobody wants: one
/// that is cut off while it sends may not read the answer that tells it why.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 256 * 1024 * 1024;
/// Bytes that must be there, or the end, before a request gets an instance, and about as many as are
/// read before it has one: a thousand clients that begin and stop must not cost a thousand.
pub(super) const BEGINNING: usize = 16 * 1024;
/// Pieces that wait for the component, each at most [`PIECE`] and one read.
const WAITING: usize = 2;

type Piece = Result<Frame<Bytes>, WireError>;

/// The beginning of a body.
pub(super) struct Begun {
    bytes: BytesMut,
    /// `None` when that was all.
    rest: Option<Incoming>,
    hint: SizeHint,
    desk: Arc<Desk>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            unwanted(rest, &self.desk);
        }
    }
}

/// Reads the beginning of a body, so much that it is worth an instance. No more is read of it until it
/// is gathered.
///
/// # Errors
/// If the body breaks off.
pub(super) async fn begin(
    mut body: Incoming,
    desk: Arc<Desk>,
    operation: &Arc<Operation>,
) -> Result<Begun, WireError> {
    let hint = body.size_hint();
    let mut bytes = BytesMut::new();
    operation.waits(Side::Sending);
    while bytes.len() < BEGINNING && !body.is_end_stream() {
        match body.frame().await {
            Some(Ok(frame)) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                operation.moves(Side::Sending, size);
                operation.waits(Side::Sending);
                // Trailers mean nothing to the component.
                if let Ok(data) = frame.into_data() {
                    bytes.extend_from_slice(&data);
                }
            }
            Some(Err(error)) => return Err(error.into()),
            None => break,
        }
    }
    operation.moves(Side::Sending, 0);
    desk.want(Wanted::Nothing);
    let ended = body.is_end_stream() || bytes.len() < BEGINNING;
    Ok(Begun {
        bytes,
        rest: (!ended).then_some(body),
        hint,
        desk,
    })
}

impl Begun {
    /// Bytes that were read.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Resolves when the body breaks off, because its client has left for example. What comes of it
    /// before is kept, and is little: the rest is not wanted yet.
    pub(super) async fn breaks_off(&mut self) -> WireError {
        while let Some(body) = &mut self.rest {
            match body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.bytes.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return error.into(),
                None => self.rest = None,
            }
        }
        std::future::pending().await
    }

    /// The whole body, in larger pieces.
    pub(super) fn gathered(mut self, operation: &Arc<Operation>) -> WasiBody {
        let (bytes, hint) = (std::mem::take(&mut self.bytes), self.hint);
        self.desk.want(Wanted::Everything);
        let Some(mut body) = self.rest.take() else {
            return http_body_util::Full::new(bytes.freeze())
                .map_err(|never| match never {})
                .boxed_unsync();
        };
        let (sender, pieces) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            if let Read::Unwanted = read(bytes, &mut body, &sender).await {
                let _ = tokio::time::timeout(LINGER, drain(&mut body)).await;
            }
        });
        let operation = Arc::clone(operation);
        Gathered {
            pieces,
            hint,
            operation,
        }
        .boxed_unsync()
    }
}

/// Listens for a while to a body that nobody wants.
pub(super) fn unwanted(mut body: Incoming, desk: &Desk) {
    // What is dropped with its runtime has nobody to listen any more.
    if let Ok(runtime) = Handle::try_current()
        && !body.is_end_stream()
    {
        desk.want(Wanted::Everything);
        runtime.spawn(async move { tokio::time::timeout(LINGER, drain(&mut body)).await });
    }
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
async fn read(mut held: BytesMut, body: &mut Incoming, pieces: &mpsc::Sender<Piece>) -> Read {
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
    operation: Arc<Operation>,
}

impl Drop for Gathered {
    fn drop(&mut self) {
        self.operation.has_sent();
    }
}

impl Body for Gathered {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Piece>> {
        self.operation.watch_body(cx);
        if self.operation.why().is_some() {
            return Poll::Ready(Some(Err(WireError::ConnectionReadTimeout)));
        }
        let polled = self.pieces.poll_recv(cx);
        match &polled {
            Poll::Pending => self.operation.waits(Side::Sending),
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.operation.moves(Side::Sending, size);
            }
            Poll::Ready(_) => self.operation.has_sent(),
        }
        polled
    }

    /// Of the whole body: asked for once, before the first piece.
    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}
