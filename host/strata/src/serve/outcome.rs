//! Responses: the component's, which must not look whole when they are not, and the host's own.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wasmtime_wasi_http::{Error as WireError, WasiBody};

use super::operation::{Operation, Side};
use crate::bounds::{Ended, Patience, RETRY_AFTER};

/// Why an instance ended before its time; all it answers refer to it.
pub(super) type Fate = OnceLock<Ended>;

/// A response's body on its way to the client.
pub(super) struct Answered {
    pub(super) body: WasiBody,
    /// Of the instance it comes from.
    pub(super) fate: Arc<Fate>,
    pub(super) operation: Arc<Operation>,
    /// Dropped with this, which tells the instance.
    pub(super) _done: oneshot::Sender<()>,
}

impl Body for Answered {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            // The client is waited for until more is asked for.
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.operation.moves(Side::Reading, size);
                self.operation.waits(Side::Reading);
            }
            _ => self.operation.moves(Side::Reading, 0),
        }
        match polled {
            // A body whose instance is gone just ends.
            Poll::Ready(None) if self.fate.get().is_some() => {
                Poll::Ready(Some(Err(WireError::HttpResponseIncomplete)))
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.fate.get().is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body of which the client has the beginning, so that it cannot begin again.
pub(super) struct Begun {
    body: WasiBody,
    operation: Arc<Operation>,
    _patience: Option<Patience>,
}

impl Begun {
    /// `patience` is what lets the instance end it.
    pub(super) fn new(
        body: WasiBody,
        operation: &Arc<Operation>,
        patience: Option<Patience>,
    ) -> Self {
        Self {
            body,
            operation: Arc::clone(operation),
            _patience: patience,
        }
    }
}

impl Body for Begun {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            tracing::warn!("{}: the answer is cut off: {error}", self.operation);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A body that is here whole. Its memory has room for as long as anybody holds any of it.
pub(super) struct Whole {
    frames: VecDeque<Bytes>,
    left: u64,
    operation: Arc<Operation>,
}

/// A frame and its room.
struct Kept {
    frame: Bytes,
    _room: Arc<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.frame
    }
}

impl Body for Whole {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let Some(frame) = self.frames.pop_front() else {
            self.operation.moves(Side::Reading, 0);
            return Poll::Ready(None);
        };
        self.left = self.left.saturating_sub(frame.len() as u64);
        self.operation.moves(Side::Reading, frame.len());
        self.operation.waits(Side::Reading);
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// The response with its whole body, for which there is `room`.
///
/// # Errors
/// If the body breaks off.
pub(super) async fn whole(
    response: Response<WasiBody>,
    operation: &Arc<Operation>,
    room: OwnedSemaphorePermit,
) -> Result<Response<WasiBody>, WireError> {
    let (head, mut body) = response.into_parts();
    let room = Arc::new(room);
    let mut frames = VecDeque::new();
    let mut left = 0;
    while let Some(frame) = body.frame().await {
        // Its trailers are none.
        if let Ok(data) = frame?.into_data() {
            left += data.len() as u64;
            frames.push_back(Bytes::from_owner(Kept {
                frame: data,
                _room: Arc::clone(&room),
            }));
        }
        operation.moves(Side::Reading, 0);
    }
    drop(body);
    let body = Whole {
        frames,
        left,
        operation: Arc::clone(operation),
    };
    Ok(Response::from_parts(head, body.boxed_unsync()))
}

/// What a client sees when an operation was ended.
pub(super) fn failure(ended: &Ended) -> Response<WasiBody> {
    let status = match ended {
        // As the component answers what is over a bound of its own.
        Ended::Memory(_) | Ended::Compute(_) | Ended::BrokenOff => StatusCode::BAD_REQUEST,
        Ended::Busy | Ended::Yielded | Ended::Silent | Ended::Hogged => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        Ended::Stalled(_) => StatusCode::REQUEST_TIMEOUT,
        Ended::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Ended::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let message = serde_json::json!({ "message": ended.to_string() });
    let body = Full::new(Bytes::from(format!("{message}\n")))
        .map_err(|never| match never {})
        .boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, RETRY_AFTER.into());
    }
    if status == StatusCode::REQUEST_TIMEOUT {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
