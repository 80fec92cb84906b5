//! Compressed bytes on their way from whoever gives them, when they come, to a decoder, which has no thread
//! while it waits for them.

use std::io::{self, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, Bytes, BytesMut};

use strata_oci::archive::Compression;

/// Bytes that may wait; of more, the giver waits.
const WAITING: usize = 1 << 20;

/// The giver's end. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Feed(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    bytes: BytesMut,
    /// Whether as many bytes came as [`decompress`](crate::decompress()) looks at first.
    begun: bool,
    /// Whether there will be no more.
    ended: bool,
    /// Whether the decoder is gone.
    unwanted: bool,
    /// Of a giver who waits for room.
    waker: Option<Waker>,
}

/// The decoder's end. Reading what is not there yet fails with [`io::ErrorKind::WouldBlock`].
#[derive(Debug)]
pub struct Input {
    feed: Feed,
    current: Bytes,
}

/// Both ends.
#[must_use]
pub fn feed() -> (Feed, Input) {
    let feed = Feed::default();
    let input = Input {
        feed: feed.clone(),
        current: Bytes::new(),
    };
    (feed, input)
}

impl Feed {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ready when there is room for more. False if nobody wants it: the decoder's verdict says why.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut waiting = self.waiting();
        if waiting.unwanted || waiting.bytes.len() < WAITING {
            return Poll::Ready(!waiting.unwanted);
        }
        waiting.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Gives bytes, however many.
    pub fn give(&self, bytes: &[u8]) {
        let mut waiting = self.waiting();
        waiting.bytes.extend_from_slice(bytes);
        waiting.begun |= waiting.bytes.len() >= Compression::HEAD_BYTES;
    }

    /// There will be no more.
    pub fn end(&self) {
        self.waiting().ended = true;
    }

    /// Whether the decoder gets on with what is there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let waiting = self.waiting();
        waiting.ended || (waiting.begun && !waiting.bytes.is_empty())
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            let mut waiting = self.feed.waiting();
            if waiting.bytes.is_empty() {
                return match waiting.ended {
                    true => Ok(0),
                    false => Err(io::ErrorKind::WouldBlock.into()),
                };
            }
            self.current = waiting.bytes.split().freeze();
            if let Some(waker) = waiting.waker.take() {
                waker.wake();
            }
        }
        let count = self.current.len().min(buffer.len());
        self.current
            .split_to(count)
            .copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        let mut waiting = self.feed.waiting();
        waiting.unwanted = true;
        waiting.bytes = BytesMut::new();
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_giver_waits_for_room_and_the_decoder_for_bytes() {
        let (feed, mut input) = feed();
        let mut cx = Context::from_waker(Waker::noop());
        let mut buffer = vec![0; WAITING];
        let nothing_yet = input.read(&mut buffer).unwrap_err();
        assert_eq!(nothing_yet.kind(), io::ErrorKind::WouldBlock);
        feed.give(&[1; Compression::HEAD_BYTES - 1]);
        assert!(!feed.is_ready(), "the compression cannot be told yet");
        feed.give(&[1; WAITING]);
        assert!(feed.is_ready());
        assert!(feed.poll_room(&mut cx).is_pending());
        assert_eq!(input.read(&mut buffer).unwrap(), WAITING);
        assert_eq!(feed.poll_room(&mut cx), Poll::Ready(true));
        feed.end();
        assert_eq!(
            input.read(&mut buffer).unwrap(),
            Compression::HEAD_BYTES - 1
        );
        assert_eq!(input.read(&mut buffer).unwrap(), 0);
        drop(input);
        assert_eq!(feed.poll_room(&mut cx), Poll::Ready(false));
    }
}
