//! Tar as it arrives, in pieces of any size: where headers, contents and the end are. What a header means is left to
//! [`super::Parser`] and [`crate::layer::Parser`].

mod holes;

use super::{
    ArchiveError, BLOCK, MAX_ENTRIES, MAX_EXTENSION_BYTES, MAX_NAME_BYTES, extension::Extensions,
    head::Head, sparse::Map,
};

/// What [`Frames`] found at the start of its input.
pub(crate) enum Frame {
    /// Nothing yet: all input is used.
    More,
    /// The header of an entry ends here.
    Head(Box<Head>),
    /// The bytes used are content of the entry.
    Content,
    /// The archive is at its end; what follows does not belong to it.
    End,
}

/// Takes an archive apart.
pub(crate) struct Frames {
    state: State,
    /// The block being gathered.
    block: [u8; BLOCK],
    /// Bytes of it.
    filled: usize,
    /// Bytes used so far.
    offset: u64,
    /// Entries so far.
    entries: u64,
    /// What extension headers said about the next entry.
    next: Extensions,
}

/// See [`Frames`].
enum State {
    /// A header is next.
    Header,
    /// A block of zeros came in place of a header.
    Zeros,
    /// The content of an extension header.
    Extension {
        flag: u8,
        /// Bytes without padding.
        size: u64,
        /// Bytes still to come, padding included.
        remaining: u64,
        bytes: Vec<u8>,
    },
    /// The map of a sparse file, whose header came.
    Map {
        head: Box<Head>,
        /// Bytes that are stored, the map included if it is part of the content.
        size: u64,
        map: Box<Map>,
    },
    /// The content of an entry, and the padding after it.
    Content { remaining: u64, padding: u64 },
    /// Padding alone.
    Padding { remaining: u64 },
    /// Both blocks of zeros came.
    End,
}

impl Default for Frames {
    fn default() -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            offset: 0,
            entries: 0,
            next: Extensions::default(),
        }
    }
}

impl Frames {
    /// Bytes used so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes of the current entry's content that are still to come.
    pub(crate) fn remaining(&self) -> u64 {
        match self.state {
            State::Content { remaining, .. } => remaining,
            _ => 0,
        }
    }

    /// Looks at `input`, which follows what was used before, and says how many bytes of it are used up.
    ///
    /// # Errors
    /// [`ArchiveError`]; nothing more can be found then.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<(usize, Frame), ArchiveError> {
        let mut rest = input;
        let frame = loop {
            match &mut self.state {
                State::End => break Frame::End,
                State::Content {
                    remaining,
                    padding: 0,
                } if *remaining == 0 => self.state = State::Header,
                State::Content { remaining, padding } if *remaining == 0 => {
                    let remaining = *padding;
                    self.state = State::Padding { remaining };
                }
                _ if rest.is_empty() => break Frame::More,
                // Nothing was used before it in this step: finding its entry ended one.
                State::Content { remaining, .. } => {
                    let taken = take(&mut rest, *remaining);
                    *remaining -= taken.len() as u64;
                    self.offset += taken.len() as u64;
                    break Frame::Content;
                }
                State::Padding { remaining } => {
                    let taken = take(&mut rest, *remaining);
                    *remaining -= taken.len() as u64;
                    self.offset += taken.len() as u64;
                    if *remaining == 0 {
                        self.state = State::Header;
                    }
                }
                State::Extension {
                    remaining, bytes, ..
                } => {
                    let taken = take(&mut rest, *remaining);
                    *remaining -= taken.len() as u64;
                    bytes.extend_from_slice(taken);
                    self.offset += taken.len() as u64;
                    if *remaining == 0 {
                        self.extension()?;
                    }
                }
                State::Header | State::Zeros | State::Map { .. } => {
                    let taken = take(&mut rest, (BLOCK - self.filled) as u64);
                    let space = self.block.iter_mut().skip(self.filled);
                    space.zip(taken).for_each(|(to, from)| *to = *from);
                    self.filled += taken.len();
                    self.offset += taken.len() as u64;
                    if self.filled == BLOCK {
                        self.filled = 0;
                        if let Some(head) = self.block()? {
                            break Frame::Head(head);
                        }
                    }
                }
            }
        };
        Ok((input.len() - rest.len(), frame))
    }

    /// Tells whether the archive was whole, when no more input comes. The blocks of zeros at the end may be missing, and
    /// so may the padding before them: no common reader asks for them, and some tools do not write them.
    ///
    /// # Errors
    /// [`ArchiveError::Empty`] or [`ArchiveError::Truncated`].
    pub(crate) fn finish(&self) -> Result<(), ArchiveError> {
        match (&self.state, self.offset) {
            (_, 0) => Err(ArchiveError::Empty),
            (State::End | State::Zeros | State::Padding { .. }, _)
            | (State::Content { remaining: 0, .. }, _) => Ok(()),
            // Nothing more, or part of the first block of zeros.
            (State::Header, _) if self.next.is_empty() && self.is_zero() => Ok(()),
            (_, offset) => Err(ArchiveError::Truncated { offset }),
        }
    }

    /// Whether what has been gathered of a block is zeros.
    fn is_zero(&self) -> bool {
        self.block.iter().take(self.filled).all(|byte| *byte == 0)
    }

    /// What is wrong with the header that was just found.
    pub(crate) fn invalid_header(&self, reason: &'static str) -> ArchiveError {
        ArchiveError::Header {
            offset: self.header_offset(),
            reason: Some(reason),
        }
    }

    /// What is wrong with the extension header before the header that was just found.
    pub(crate) fn invalid_extension(&self, reason: &'static str) -> ArchiveError {
        ArchiveError::Extension {
            offset: self.offset,
            reason,
        }
    }

    /// A block is complete.
    fn block(&mut self) -> Result<Option<Box<Head>>, ArchiveError> {
        match std::mem::replace(&mut self.state, State::Header) {
            State::Map { head, size, map } => self.map(head, size, map),
            state => {
                self.state = state;
                self.header()
            }
        }
    }

    /// A header block is complete.
    fn header(&mut self) -> Result<Option<Box<Head>>, ArchiveError> {
        if self.block.iter().all(|byte| *byte == 0) {
            if !self.next.is_empty() {
                return Err(self.invalid_extension("no entry follows it"));
            }
            self.state = match self.state {
                State::Zeros => State::End,
                _ => State::Zeros,
            };
            return Ok(None);
        }
        // A lone block of zeros is no end, and nothing that could be gone on from.
        if matches!(self.state, State::Zeros) {
            return Err(self.invalid_header("it follows a block of zeros"));
        }
        let head = Head::read(&self.block).ok_or(ArchiveError::Header {
            offset: self.header_offset(),
            reason: None,
        })?;
        match head.flag {
            flag if Extensions::has(flag) => {
                let size = self.size(&head)?;
                if size > MAX_EXTENSION_BYTES {
                    return Err(ArchiveError::ExtensionTooLong { size });
                }
                if size == 0 {
                    return Err(self.invalid_extension("it is empty"));
                }
                // The others are at most three to an entry, which is counted.
                if flag == b'g' {
                    self.count()?;
                }
                self.state = State::Extension {
                    flag,
                    size,
                    remaining: padded(size),
                    bytes: Vec::new(),
                };
                Ok(None)
            }
            _ => self.entry(Box::new(head)),
        }
    }

    /// An entry begins.
    fn entry(&mut self, mut head: Box<Head>) -> Result<Option<Box<Head>>, ArchiveError> {
        self.count()?;
        let sparse = std::mem::take(&mut self.next).apply(&mut head);
        for name in [&head.path, &head.link] {
            if name.len() > MAX_NAME_BYTES {
                return Err(ArchiveError::NameTooLong { size: name.len() });
            }
        }
        // As Go reads them: nothing follows links, directories and devices, whatever their size says.
        let size = match head.is_sized() {
            true => self.size(&head)?,
            false => 0,
        };
        self.content(head, size, &sparse)
    }

    /// The content of an entry begins.
    fn begin(&mut self, mut head: Box<Head>, size: u64) -> Box<Head> {
        head.size = Some(size);
        self.state = State::Content {
            remaining: size,
            padding: padded(size) - size,
        };
        head
    }

    /// An extension header is complete.
    fn extension(&mut self) -> Result<(), ArchiveError> {
        let state = std::mem::replace(&mut self.state, State::Header);
        let State::Extension {
            flag, size, bytes, ..
        } = state
        else {
            return Ok(());
        };
        let content = take(&mut bytes.as_slice(), size);
        let added = self.next.add(flag, content);
        added.map_err(|reason| self.invalid_extension(reason))
    }

    /// Where the header that was just found begins.
    fn header_offset(&self) -> u64 {
        self.offset.saturating_sub(BLOCK as u64)
    }

    fn size(&self, head: &Head) -> Result<u64, ArchiveError> {
        let size = head.size;
        size.ok_or_else(|| self.invalid_header("its size is no number of bytes"))
    }

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        match self.entries > MAX_ENTRIES {
            true => Err(ArchiveError::TooManyEntries),
            false => Ok(()),
        }
    }
}

/// The first bytes of `rest`, at most `limit`, which it loses.
fn take<'a>(rest: &mut &'a [u8], limit: u64) -> &'a [u8] {
    let length = usize::try_from(limit).map_or(rest.len(), |limit| limit.min(rest.len()));
    let (taken, left) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    *rest = left;
    taken
}

/// Size with padding; sizes are at most `i64::MAX`, so this cannot overflow.
fn padded(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::file_header;

    #[test]
    fn entries_are_bounded() {
        // A million headers take a while to check.
        let mut frames = Frames {
            entries: MAX_ENTRIES - 1,
            ..Frames::default()
        };
        let header = file_header("a", 0o644, 0);
        assert!(matches!(frames.step(&header), Ok((BLOCK, Frame::Head(_)))));
        let error = frames.step(&header).err();
        assert_eq!(error, Some(ArchiveError::TooManyEntries));
    }
}
