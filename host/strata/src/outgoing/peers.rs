//! Whether an operation waits for those it asks: a registry that says nothing must not let others wait for the
//! operation's place.

use std::{
    pin::Pin,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};

/// Bytes that have to come before a peer is said to have moved: one that sends a byte now and then does not.
const PIECE: u64 = 8 * 1024;

/// All peers of one operation.
#[derive(Clone, Default)]
pub(crate) struct Peers(Arc<Movement>);

#[derive(Default)]
struct Movement {
    /// Answers and parts of them that are waited for.
    waits: AtomicUsize,
    /// When one of them came last, or the first was asked for, in milliseconds.
    moved: AtomicU64,
    /// Bytes since then.
    bytes: AtomicU64,
}

/// Milliseconds since the first call.
fn now() -> u64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(BEGUN.elapsed().as_millis()).unwrap_or(u64::MAX)
}

impl Peers {
    /// How long all that is waited for has not come.
    pub(crate) fn stood(&self) -> Duration {
        match self.0.waits.load(Relaxed) {
            0 => Duration::ZERO,
            _ => Duration::from_millis(now().saturating_sub(self.0.moved.load(Relaxed))),
        }
    }

    /// Something is waited for, until this is dropped.
    pub(super) fn wait(&self) -> Wait {
        if self.0.waits.fetch_add(1, Relaxed) == 0 {
            self.0.moved.store(now(), Relaxed);
        }
        Wait(self.clone())
    }

    /// Something came.
    fn came(&self, bytes: u64) {
        let before = self.0.bytes.fetch_add(bytes, Relaxed);
        if before.saturating_add(bytes) >= PIECE {
            self.0.bytes.store(0, Relaxed);
            self.0.moved.store(now(), Relaxed);
        }
    }

    /// The body of an answer, of which is noted what is waited for and what came.
    pub(super) fn watch<B>(self, body: B) -> Watched<B> {
        Watched {
            body,
            peers: self,
            wait: None,
        }
    }
}

/// See [`Peers::wait`].
pub(super) struct Wait(Peers);

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.0.waits.fetch_sub(1, Relaxed);
    }
}

/// See [`Peers::watch`].
pub(super) struct Watched<B> {
    body: B,
    peers: Peers,
    wait: Option<Wait>,
}

impl<B: Body<Data = Bytes> + Unpin> Body for Watched<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Pending => {
                let this = &mut *self;
                this.wait.get_or_insert_with(|| this.peers.wait());
            }
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                self.peers.came(bytes);
            }
            // Nothing of it is waited for any more.
            Poll::Ready(_) => self.wait = None,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_nothing_does_not_stand() {
        let peers = Peers::default();
        assert_eq!(peers.stood(), Duration::ZERO);
        let wait = peers.wait();
        while peers.stood().is_zero() {
            std::hint::spin_loop();
        }
        drop(wait);
        assert_eq!(peers.stood(), Duration::ZERO);
    }

    #[test]
    fn some_bytes_now_and_then_are_not_enough() {
        let peers = Peers::default();
        let _wait = peers.wait();
        peers.0.moved.store(0, Relaxed);
        while now() == 0 {
            std::hint::spin_loop();
        }
        for _ in 0..100 {
            peers.came(1);
        }
        assert_eq!(peers.0.moved.load(Relaxed), 0);
        peers.came(PIECE);
        assert!(peers.0.moved.load(Relaxed) > 0);
    }
}
