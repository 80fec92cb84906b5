//! The least speed of a body. Whoever sends a byte now and then is never silent, and would hold
//! an operation, with all it has, for as long as he likes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use wasmtime_wasi_http::Error as WireError;

use super::READ_TIMEOUT;

/// What is looked at together. Slow for a moment is anybody.
const WINDOW: Duration = Duration::from_secs(60);
/// Bytes that must come in a [`WINDOW`]: half a kilobyte a second, slower than any modem.
const LEAST_BYTES: u64 = 30 * 1024;

/// A body that ends in an error when it comes too slowly. Only the time counts in which it was
/// waited for: who reads slowly himself cuts nobody.
pub(super) struct Paced<B> {
    body: B,
    waits_since: Option<Instant>,
    waited: Duration,
    bytes: u64,
}

impl<B> Paced<B> {
    pub(super) fn new(body: B) -> Self {
        Self {
            body,
            waits_since: None,
            waited: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Takes note of what came; whether that is enough.
    fn keeps_up(&mut self, bytes: u64) -> bool {
        if let Some(since) = self.waits_since.take() {
            // More than that is cut as silence; the rest is our own delay.
            self.waited += since.elapsed().min(READ_TIMEOUT);
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.waited < WINDOW {
            return true;
        }
        let enough = self.bytes >= LEAST_BYTES;
        self.waited = Duration::ZERO;
        self.bytes = 0;
        enough
    }
}

impl<B: Body<Data = Bytes, Error = WireError> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = WireError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, WireError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Pending => {
                self.waits_since.get_or_insert_with(Instant::now);
            }
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, |data| data.remaining() as u64);
                if !self.keeps_up(bytes) {
                    return Poll::Ready(Some(Err(WireError::HttpResponseTimeout)));
                }
            }
            Poll::Ready(_) => {}
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

    /// What comes of a body that gives `bytes` every `pause`, `count` times.
    fn ends_well(bytes: u64, pause: Duration, count: u32) -> bool {
        let mut paced = Paced::new(());
        (0..count).all(|_| {
            paced.waits_since = Instant::now().checked_sub(pause);
            paced.keeps_up(bytes)
        })
    }

    #[test]
    fn who_drips_is_cut_and_who_is_slow_is_not() {
        let second = Duration::from_secs(1);
        assert!(ends_well(1, second, 59), "not before a minute is over");
        assert!(!ends_well(1, second, 61));
        assert!(!ends_well(100, second, 61));
        assert!(ends_well(600, second, 1000));
        assert!(ends_well(20 * 1024, 29 * second, 100));
        assert!(!ends_well(1024, 29 * second, 10));
    }

    #[test]
    fn the_time_in_which_nobody_waited_does_not_count() {
        let mut paced = Paced::new(());
        assert!((0..100_000).all(|_| paced.keeps_up(1)));
        assert_eq!(paced.waited, Duration::ZERO);
        // One wait counts at most as long as silence may last.
        paced.waits_since = Instant::now().checked_sub(Duration::from_secs(600));
        assert!(paced.keeps_up(1));
    }
}
