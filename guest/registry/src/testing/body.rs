//! A body at hand.

use std::{collections::VecDeque, rc::Rc, time::Duration};

use super::VirtualClock;
use crate::{Body, Clock as _};

/// Bytes in pieces, and how it ends.
pub struct Pieces<E> {
    pieces: VecDeque<Vec<u8>>,
    /// Fails after the last.
    error: Option<E>,
    /// Each piece takes this long.
    pause: Option<(Rc<VirtualClock>, Duration)>,
}

impl<E> Pieces<E> {
    /// A body of one piece.
    #[must_use]
    pub fn of(bytes: Vec<u8>) -> Self {
        Self::in_pieces(bytes, usize::MAX)
    }

    /// A body of pieces of `size` bytes, at least one.
    #[must_use]
    pub fn in_pieces(bytes: Vec<u8>, size: usize) -> Self {
        Self {
            pieces: bytes.chunks(size.max(1)).map(<[u8]>::to_vec).collect(),
            error: None,
            pause: None,
        }
    }

    /// The same, each piece of which takes its time.
    #[must_use]
    pub fn timed(mut self, clock: &Rc<VirtualClock>, pause: Duration) -> Self {
        self.pause = Some((clock.clone(), pause));
        self
    }

    /// The same, which then fails.
    #[must_use]
    pub fn and(mut self, error: E) -> Self {
        self.error = Some(error);
        self
    }

    /// All that has not been read.
    #[must_use]
    pub fn whole(self) -> Vec<u8> {
        Vec::from(self.pieces).concat()
    }
}

impl<E> Body for Pieces<E> {
    type Error = E;

    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, E> {
        let piece = self.pieces.pop_front();
        if piece.is_none() && self.error.is_none() {
            return Ok(None);
        }
        if let Some((clock, pause)) = &self.pause {
            clock.sleep(*pause).await;
        }
        match self.error.take_if(|_| piece.is_none()) {
            Some(error) => Err(error),
            None => Ok(piece),
        }
    }
}
