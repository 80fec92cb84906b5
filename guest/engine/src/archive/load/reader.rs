//! An archive as it arrives.

use strata_oci::archive::{Entry, Parser, Step};

use crate::{Body, Error, Result, cursor::Cursor};

/// Pieces smaller than this are put together: each costs a call to the store.
const PIECE_BYTES: usize = 64 << 10;
/// The most that is looked at in one step. With what may have been put together before,
/// a piece stays below the 1 MiB that the store takes in one call.
const STEP_BYTES: usize = 512 << 10;

/// Reads an archive from a body.
pub(super) struct Reader<B> {
    body: Cursor<B>,
    parser: Parser,
}

impl<B: Body<Error = Error>> Reader<B> {
    /// A reader at the start of `body`.
    pub(super) fn new(body: B) -> Self {
        Self {
            body: Cursor::new(body),
            parser: Parser::new(),
        }
    }

    /// The next entry; what is left of the one before is passed over. `None` at the end,
    /// when the body has been read to its own end: whether compressed bytes were whole is
    /// only known then.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>> {
        loop {
            match self.advance().await? {
                (_, Step::Entry(entry)) => return Ok(Some(entry)),
                (_, Step::Content | Step::More) => {}
                (_, Step::End) => {
                    self.body.finish().await?;
                    return Ok(None);
                }
            }
        }
    }

    /// Bytes of the entry that are still to come.
    pub(super) fn remaining(&self) -> u64 {
        self.parser.remaining()
    }

    /// The next piece of the entry's content; `None` at its end.
    pub(super) async fn content(&mut self) -> Result<Option<Vec<u8>>> {
        let mut gathered = Vec::new();
        while self.remaining() > 0 && gathered.len() < PIECE_BYTES {
            let (count, _) = self.advance().await?;
            let piece = self.body.last(count);
            match gathered.is_empty() {
                true => gathered = piece,
                false => gathered.extend(piece),
            }
        }
        Ok((!gathered.is_empty()).then_some(gathered))
    }

    /// All that remains of the entry. The caller has seen to its size.
    pub(super) async fn whole(&mut self) -> Result<Vec<u8>> {
        let mut whole = Vec::new();
        while let Some(piece) = self.content().await? {
            match whole.is_empty() {
                true => whole = piece,
                false => whole.extend(piece),
            }
        }
        Ok(whole)
    }

    /// One step, and how many bytes it used.
    async fn advance(&mut self) -> Result<(usize, Step)> {
        loop {
            let rest = self.body.rest();
            let rest = rest.get(..STEP_BYTES).unwrap_or(rest);
            let (used, step) = self.parser.step(rest).map_err(Error::archive)?;
            self.body.use_up(used);
            if step != Step::More {
                return Ok((used, step));
            }
            if self.body.rest().is_empty() && !self.body.more().await? {
                self.parser.finish().map_err(Error::archive)?;
                return Ok((0, Step::End));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::executor::block_on;
    use strata_oci::archive::{END, file_header, padding};

    use super::*;

    /// Chunks, or a cut.
    struct Chunks(VecDeque<Result<Vec<u8>>>);

    impl Body for Chunks {
        type Error = Error;

        async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
            self.0.pop_front().transpose()
        }
    }

    fn reader(bytes: &[u8], size: usize) -> Reader<Chunks> {
        let chunks = bytes.chunks(size).map(|chunk| Ok(chunk.to_vec()));
        Reader::new(Chunks(chunks.collect()))
    }

    fn archive(contents: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for content in contents {
            bytes.extend(file_header("name", 0o644, content.len() as u64));
            bytes.extend_from_slice(content);
            bytes.resize(bytes.len() + padding(content.len() as u64), 0);
        }
        bytes.extend_from_slice(&END);
        bytes
    }

    #[test]
    fn content_is_whole_whatever_the_chunks() {
        let large: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
        let bytes = archive(&[b"", &large, b"small"]);
        for size in [100, 512, 1000, 65_536, 70_000, 1 << 20] {
            let mut reader = reader(&bytes, size);
            block_on(async {
                let mut sizes = Vec::new();
                while let Some(entry) = reader.next().await.unwrap() {
                    sizes.push(entry.size);
                    // The last is passed over.
                    if entry.size == large.len() as u64 {
                        assert_eq!(reader.remaining(), entry.size);
                        assert!(reader.whole().await.unwrap() == large, "{size}");
                        assert_eq!(reader.content().await, Ok(None));
                    }
                }
                assert_eq!(sizes, [0, 200_000, 5], "{size}");
            });
        }
    }

    #[test]
    fn small_chunks_are_put_together_and_large_ones_passed_on() {
        let large = vec![7; 3 << 20];
        for (size, most) in [(1000, 50), (100_000, 33), (600_000, 12), (4 << 20, 7)] {
            let mut reader = reader(&archive(&[&large]), size);
            block_on(async {
                reader.next().await.unwrap();
                let mut pieces = 0;
                while let Some(piece) = reader.content().await.unwrap() {
                    pieces += 1;
                    assert!(piece.len() <= 1 << 20);
                }
                assert!(pieces <= most, "{pieces} of {size}");
            });
        }
    }

    #[test]
    fn an_archive_without_its_end_ends() {
        let whole = archive(&[b"a", b"b"]);
        for missing in [0, 1, 512, 513, 1024, 1025, 1535] {
            let mut reader = reader(&whole[..whole.len() - missing], 700);
            block_on(async {
                for _ in 0..2 {
                    reader.next().await.unwrap();
                    assert_eq!(reader.whole().await.unwrap().len(), 1, "{missing}");
                }
                assert_eq!(reader.next().await, Ok(None), "{missing}");
            });
        }
    }

    #[test]
    fn a_body_that_fails_after_the_archive_fails_the_archive() {
        let mut chunks: VecDeque<_> = [Ok(archive(&[b"a"]))].into();
        chunks.push_back(Err(Error::Unavailable("cut".to_owned())));
        let mut reader = Reader::new(Chunks(chunks));
        block_on(async {
            assert!(reader.next().await.unwrap().is_some());
            let error = reader.next().await.unwrap_err();
            assert_eq!(error, Error::Unavailable("cut".to_owned()));
        });
    }
}
