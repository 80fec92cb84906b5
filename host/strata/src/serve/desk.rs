//! Where the two ends of a connection meet: [`super::intake`] puts down the head it read, and whoever
//! serves the request hyper makes of its substitute takes it up.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::{answer::Refusal, framing::Framing, head::Head, slots::Seat};

/// One connection's.
pub(super) struct Desk {
    state: Mutex<Order>,
    seat: Arc<Seat>,
}

#[derive(Default)]
struct Order {
    /// What was read last.
    head: Option<Result<Head, Refusal>>,
    /// Where hyper says that its body ends.
    framing: Option<Framing>,
    /// Whether it is not answered yet.
    is_busy: bool,
    /// How much of its body is wanted.
    wanted: Wanted,
    /// Waits for the answer's end, or for the body to be wanted.
    waker: Option<Waker>,
}

/// How much of a body is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The beginning, in small pieces.
    #[default]
    Beginning,
    /// No more for now.
    Nothing,
    /// All of it.
    Everything,
}

impl Desk {
    /// The desk of the connection that has `seat`, with nothing on it.
    pub(super) fn new(seat: Arc<Seat>) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { state, seat })
    }

    /// Puts down what was read. From now on the connection is busy.
    pub(super) fn put(&self, head: Result<Head, Refusal>) {
        self.seat.asks();
        let mut state = self.state();
        state.head = Some(head);
        state.framing = None;
        state.is_busy = true;
        state.wanted = Wanted::default();
    }

    /// Takes it up. `framing` is that of the request hyper made.
    pub(super) fn take(&self, framing: Framing) -> Option<Result<Head, Refusal>> {
        let mut state = self.state();
        state.framing = Some(framing);
        state.head.take()
    }

    /// Where the body ends, once hyper has said so.
    pub(super) fn framing(&self) -> Option<Framing> {
        self.state().framing.take()
    }

    /// Whether a request is being answered; if so, `cx` is woken when it is.
    pub(super) fn is_busy(&self, cx: &mut Context<'_>) -> bool {
        let mut state = self.state();
        if state.is_busy {
            state.waker = Some(cx.waker().clone());
        }
        state.is_busy
    }

    /// Says how much of the body is wanted from now on.
    pub(super) fn want(&self, wanted: Wanted) {
        let mut state = self.state();
        state.wanted = wanted;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    /// How much of the body is wanted; `cx` is woken when it is not all of it and that changes.
    pub(super) fn wanted(&self, cx: &mut Context<'_>) -> Wanted {
        let mut state = self.state();
        if state.wanted != Wanted::Everything {
            state.waker = Some(cx.waker().clone());
        }
        state.wanted
    }

    /// Says that the client is waited for.
    pub(super) fn idle(&self) {
        self.seat.idle();
    }

    /// Says that what is asked has a place: it is looked after now.
    pub(super) fn placed(&self) {
        self.seat.busy();
    }

    /// An answer's body, during which the connection is busy.
    pub(super) fn attend<B>(self: &Arc<Self>, body: B) -> Attended<B> {
        let busy = Busy(Arc::clone(self));
        Attended { body, _busy: busy }
    }

    fn state(&self) -> MutexGuard<'_, Order> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends being busy.
struct Busy(Arc<Desk>);

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.is_busy = false;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }
}

/// See [`Desk::attend`].
pub(super) struct Attended<B> {
    body: B,
    _busy: Busy,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Attended<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
