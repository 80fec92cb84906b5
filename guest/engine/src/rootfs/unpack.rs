//! A tar of a file system as it arrives.

use std::collections::VecDeque;

use strata_oci::{
    archive::{ArchiveError, BLOCK},
    layer::{Entry, Fragment, Kind, Parser, Step},
};

use crate::{Body, Error, Result, cursor::Cursor};

/// The most that is looked at in one step; a piece of content is no larger, which keeps
/// it below the 1 MiB that the store takes in one call.
const STEP_BYTES: usize = 512 << 10;

/// What a tar is, which decides how its faults are told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// What a caller sends.
    Caller,
    /// A layer of the store. Its digest says it is whole, so that the end may be missing,
    /// as old tools have it.
    Layer,
}

/// Reads a tar from a body.
pub(crate) struct Reader<B> {
    body: Cursor<B>,
    source: Source,
    parser: Parser,
    /// Where the parser began.
    start: u64,
    /// What is still to come of a file with holes.
    holes: Option<Holes>,
}

/// A file with holes on its way.
struct Holes {
    /// The size of the file.
    size: u64,
    /// Bytes of it that came, zeros included.
    position: u64,
    /// What is stored of the rest.
    fragments: VecDeque<Fragment>,
}

impl<B: Body<Error = Error>> Reader<B> {
    /// A reader at the start of `body`, which is not compressed.
    pub(crate) fn new(body: B, source: Source) -> Self {
        Self {
            body: Cursor::new(body),
            source,
            parser: Parser::rooted(),
            start: 0,
            holes: None,
        }
    }

    /// Goes on with `body`, which begins `offset` bytes into the tar, where an entry's
    /// content and its padding end.
    pub(crate) fn jump(&mut self, body: B, offset: u64) {
        let source = self.source;
        *self = Self::new(body, source);
        self.start = offset;
    }

    /// Bytes read so far: just after an entry came, where its content begins.
    pub(crate) fn offset(&self) -> u64 {
        self.start.saturating_add(self.parser.offset())
    }

    /// Bytes of the entry's content that are still to come, holes left out.
    pub(crate) fn remaining(&self) -> u64 {
        self.parser.remaining()
    }

    /// The next entry; what is left of the one before is passed over. `None` at the end,
    /// when the body has been read to its own end: whether compressed bytes were whole is
    /// only known then.
    ///
    /// # Errors
    /// For a caller's tar [`Error::InvalidArgument`], for a layer
    /// [`Error::ManifestInvalid`] if it is broken; [`Error::QuotaExceeded`] beyond a bound;
    /// as the body.
    pub(crate) async fn next(&mut self) -> Result<Option<Entry>> {
        self.holes = None;
        loop {
            match self.advance(STEP_BYTES).await? {
                Some((_, Step::Entry(entry))) => {
                    if let Kind::Sparse(sparse) = &entry.kind {
                        self.holes = Some(Holes {
                            size: sparse.size,
                            position: 0,
                            fragments: sparse.fragments.iter().copied().collect(),
                        });
                    }
                    return Ok(Some(entry));
                }
                Some((_, Step::Content | Step::More)) => {}
                Some((_, Step::End)) => {
                    self.body.finish().await?;
                    return Ok(None);
                }
                None => return Ok(None),
            }
        }
    }

    /// The next piece of the entry's content; `None` at its end. Holes are zeros.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub(crate) async fn content(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(holes) = &mut self.holes else {
            return self.stored(STEP_BYTES).await;
        };
        let limit = match holes.next() {
            Next::Zeros(count) => return Ok(Some(vec![0; count])),
            Next::Stored(limit) => limit,
            Next::Nothing => return Ok(None),
        };
        let piece = self.stored(limit).await?;
        if let (Some(holes), Some(piece)) = (&mut self.holes, &piece) {
            holes.came(piece.len() as u64);
        }
        Ok(piece)
    }

    /// The next piece of what is stored of the entry's content, at most `limit` bytes.
    async fn stored(&mut self, limit: usize) -> Result<Option<Vec<u8>>> {
        while self.parser.remaining() > 0 {
            match self.advance(limit).await? {
                None => break,
                Some((count, Step::Content)) if count > 0 => {
                    return Ok(Some(self.body.last(count)));
                }
                Some(_) => {}
            }
        }
        Ok(None)
    }

    /// One step over at most `limit` bytes, and how many it used; `None` if it ends without end.
    async fn advance(&mut self, limit: usize) -> Result<Option<(usize, Step)>> {
        loop {
            let rest = self.body.rest();
            let rest = rest.get(..limit).unwrap_or(rest);
            let stepped = self.parser.step(rest);
            let (used, step) = stepped.map_err(|error| self.refused(error))?;
            self.body.use_up(used);
            if step != Step::More {
                return Ok(Some((used, step)));
            }
            if self.body.rest().is_empty() && !self.body.more().await? {
                let between =
                    self.parser.remaining() == 0 && self.offset().is_multiple_of(BLOCK as u64);
                if self.source == Source::Layer && between {
                    return Ok(None);
                }
                self.parser.finish().map_err(|error| self.refused(error))?;
                return Ok(None);
            }
        }
    }

    /// What a broken or hostile tar is to a caller.
    fn refused(&self, error: ArchiveError) -> Error {
        let message = error.to_string();
        match error {
            ArchiveError::TooManyEntries
            | ArchiveError::NameTooLong { .. }
            | ArchiveError::ExtensionTooLong { .. } => Error::QuotaExceeded(message),
            ArchiveError::Sparse(_) => Error::Unsupported(message),
            _ if self.source == Source::Caller => Error::InvalidArgument(message),
            _ => Error::ManifestInvalid(message),
        }
    }
}

/// What comes next of a file with holes.
enum Next {
    /// So many zeros.
    Zeros(usize),
    /// At most so many bytes that are stored.
    Stored(usize),
    /// It is over.
    Nothing,
}

impl Holes {
    fn next(&mut self) -> Next {
        while self.fragments.front().is_some_and(|next| next.length == 0) {
            self.fragments.pop_front();
        }
        let next = self.fragments.front();
        let start = next.map_or(self.size, |next| next.offset);
        let step = |count: u64| usize::try_from(count).map_or(STEP_BYTES, |it| it.min(STEP_BYTES));
        let zeros = step(start.saturating_sub(self.position));
        if zeros > 0 {
            self.position = self.position.saturating_add(zeros as u64);
            return Next::Zeros(zeros);
        }
        next.map_or(Next::Nothing, |next| Next::Stored(step(next.length)))
    }

    /// Bytes that are stored came.
    fn came(&mut self, count: u64) {
        self.position = self.position.saturating_add(count);
        if let Some(next) = self.fragments.front_mut() {
            next.offset = next.offset.saturating_add(count);
            next.length = next.length.saturating_sub(count);
        }
    }
}
