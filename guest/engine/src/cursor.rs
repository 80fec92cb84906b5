//! A body that is used up bit by bit, chunk after chunk.

use std::mem;

use crate::{Body, Error, Result};

/// The place in a body up to which it is used up.
pub(crate) struct Cursor<B> {
    body: B,
    /// What came last.
    chunk: Vec<u8>,
    /// Bytes of it that are used up.
    used: usize,
}

impl<B> Cursor<B> {
    /// The start of a body.
    pub(crate) fn new(body: B) -> Self {
        Self {
            body,
            chunk: Vec::new(),
            used: 0,
        }
    }

    /// Bytes that are here and not used up.
    pub(crate) fn rest(&self) -> &[u8] {
        self.chunk.get(self.used..).unwrap_or_default()
    }

    /// Uses up so many of them.
    pub(crate) fn use_up(&mut self, count: usize) {
        self.used = self.used.saturating_add(count).min(self.chunk.len());
    }

    /// The last `count` bytes that were used up since the chunk came. If they are all of it they
    /// are passed on as they are.
    pub(crate) fn last(&mut self, count: usize) -> Vec<u8> {
        let start = self.used.saturating_sub(count);
        if start == 0 && self.used == self.chunk.len() {
            self.used = 0;
            return mem::take(&mut self.chunk);
        }
        let last = self.chunk.get(start..self.used);
        last.unwrap_or_default().to_vec()
    }
}

impl<B: Body<Error = Error>> Cursor<B> {
    /// Drops the rest and waits for the next chunk; false at the end.
    ///
    /// # Errors
    /// As the body.
    pub(crate) async fn more(&mut self) -> Result<bool> {
        let next = self.body.chunk().await?;
        let is_more = next.is_some();
        self.chunk = next.unwrap_or_default();
        self.used = 0;
        Ok(is_more)
    }

    /// Passes over all that comes: whether compressed bytes were whole is only known then.
    ///
    /// # Errors
    /// As the body.
    pub(crate) async fn finish(&mut self) -> Result<()> {
        while self.more().await? {}
        Ok(())
    }

    /// The next bytes, put together until there are `least`, and no more than `most`; `None` at the
    /// end. Chunks that large are passed on as they are.
    ///
    /// # Errors
    /// As the body.
    pub(crate) async fn gather(&mut self, least: usize, most: usize) -> Result<Option<Vec<u8>>> {
        let mut piece = Vec::new();
        while piece.len() < least {
            if self.rest().is_empty() && !self.more().await? {
                break;
            }
            let count = self.rest().len().min(most.saturating_sub(piece.len()));
            match piece.is_empty() {
                true => {
                    self.use_up(count);
                    piece = self.last(count);
                }
                false => {
                    piece.extend_from_slice(self.rest().get(..count).unwrap_or_default());
                    self.use_up(count);
                }
            }
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::memory::Bytes;

    #[test]
    fn pieces_are_gathered_and_split() {
        let bytes: Vec<u8> = (0..100).collect();
        for (size, expected) in [
            (1, &[10, 10, 10, 10, 10, 10, 10, 10, 10, 10][..]),
            (7, &[14, 14, 14, 14, 14, 14, 14, 2]),
            (15, &[15, 15, 15, 15, 15, 15, 10]),
            (50, &[20, 20, 10, 20, 20, 10]),
            (200, &[20, 20, 20, 20, 20]),
        ] {
            let mut cursor = Cursor::new(Bytes::in_pieces(bytes.clone(), size));
            let (mut lengths, mut whole) = (Vec::new(), Vec::new());
            while let Some(piece) = block_on(cursor.gather(10, 20)).unwrap() {
                lengths.push(piece.len());
                whole.extend(piece);
            }
            assert_eq!(whole, bytes, "{size}");
            let sum: usize = expected.iter().sum();
            assert_eq!((lengths.as_slice(), sum), (expected, 100), "{size}");
        }
    }
}
