//! Taking tar apart as it arrives, in pieces of any size.

use super::{
    ArchiveError, BLOCK, Entry, Kind, MAX_ENTRIES, MAX_EXTENSION_BYTES, MAX_NAME_BYTES,
    extension::Extensions, head::Head,
};

/// What a [`Parser`] found at the start of its input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing yet: all input is used.
    More,
    /// A new entry begins.
    Entry(Entry),
    /// The bytes used are content of the entry.
    Content,
    /// The archive is at its end; what follows does not belong to it.
    End,
}

/// Takes an archive apart.
///
/// ```
/// use strata_oci::archive::{END, Parser, Step, file_header, padding};
///
/// let mut archive = file_header("a", 0o644, 2);
/// archive.extend_from_slice(b"hi");
/// archive.resize(archive.len() + padding(2), 0);
/// archive.extend_from_slice(&END);
///
/// let mut parser = Parser::new();
/// let (used, step) = parser.step(&archive)?;
/// assert!(matches!(step, Step::Entry(entry) if entry.path == "a" && entry.size == 2));
/// assert_eq!(parser.step(&archive[used..])?, (2, Step::Content));
/// assert_eq!(parser.step(&archive[used + 2..])?.1, Step::End);
/// parser.finish()?;
/// # Ok::<(), strata_oci::archive::ArchiveError>(())
/// ```
pub struct Parser {
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

/// See [`Parser`].
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
    /// The content of an entry, and the padding after it.
    Content { remaining: u64, padding: u64 },
    /// Padding alone.
    Padding { remaining: u64 },
    /// Both blocks of zeros came.
    End,
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

impl Parser {
    /// A parser at the start of an archive.
    pub fn new() -> Self {
        Self {
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            offset: 0,
            entries: 0,
            next: Extensions::default(),
        }
    }

    /// Bytes of the current entry's content that are still to come.
    pub fn remaining(&self) -> u64 {
        match self.state {
            State::Content { remaining, .. } => remaining,
            _ => 0,
        }
    }

    /// Looks at `input`, which follows what was used before, and says how many bytes of it are used up.
    ///
    /// # Errors
    /// [`ArchiveError`]; the parser is of no use then.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, Step), ArchiveError> {
        let mut rest = input;
        let step = loop {
            match &mut self.state {
                State::End => break Step::End,
                State::Content {
                    remaining,
                    padding: 0,
                } if *remaining == 0 => self.state = State::Header,
                State::Content { remaining, padding } if *remaining == 0 => {
                    let remaining = *padding;
                    self.state = State::Padding { remaining };
                }
                _ if rest.is_empty() => break Step::More,
                // Nothing was used before it in this step: finding its entry ended one.
                State::Content { remaining, .. } => {
                    let taken = take(&mut rest, *remaining);
                    *remaining -= taken.len() as u64;
                    self.offset += taken.len() as u64;
                    break Step::Content;
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
                State::Header | State::Zeros => {
                    let taken = take(&mut rest, (BLOCK - self.filled) as u64);
                    let space = self.block.iter_mut().skip(self.filled);
                    space.zip(taken).for_each(|(to, from)| *to = *from);
                    self.filled += taken.len();
                    self.offset += taken.len() as u64;
                    if self.filled == BLOCK {
                        self.filled = 0;
                        if let Some(entry) = self.header()? {
                            break Step::Entry(entry);
                        }
                    }
                }
            }
        };
        Ok((input.len() - rest.len(), step))
    }

    /// Tells whether the archive was whole, when no more input comes.
    ///
    /// # Errors
    /// [`ArchiveError::Empty`] or [`ArchiveError::Truncated`].
    pub fn finish(&self) -> Result<(), ArchiveError> {
        match (&self.state, self.offset) {
            (State::End, _) => Ok(()),
            (_, 0) => Err(ArchiveError::Empty),
            (_, offset) => Err(ArchiveError::Truncated { offset }),
        }
    }

    /// A header block is complete.
    fn header(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let invalid = ArchiveError::Header {
            offset: self.offset - BLOCK as u64,
        };
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
            return Err(invalid);
        }
        let head = Head::read(&self.block).ok_or(invalid.clone())?;
        match head.flag {
            flag if Extensions::has(flag) => {
                let size = head.size.ok_or(invalid)?;
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
            _ => self.entry(head, invalid).map(Some),
        }
    }

    /// An entry begins.
    fn entry(&mut self, mut head: Head, invalid: ArchiveError) -> Result<Entry, ArchiveError> {
        self.count()?;
        let sparse = std::mem::take(&mut self.next).apply(&mut head);
        let (path, link) = (name(head.path)?, name(head.link)?);
        if sparse {
            return Err(ArchiveError::Sparse(path));
        }
        let kind = match head.flag {
            // Before ustar, directories were files with a slash at the end.
            0 if path.ends_with('/') => Kind::Directory,
            0 | b'0' | b'7' => Kind::File,
            b'1' => Kind::HardLink(link),
            b'2' => Kind::Symlink(link),
            b'3' | b'4' | b'6' => Kind::Device,
            b'5' => Kind::Directory,
            other => Kind::Other(other),
        };
        let size = match kind {
            Kind::File | Kind::Other(_) => head.size.ok_or(invalid)?,
            // As Go reads them: nothing follows these, whatever their size says.
            _ => 0,
        };
        self.state = State::Content {
            remaining: size,
            padding: padded(size) - size,
        };
        Ok(Entry { path, kind, size })
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

    fn count(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        match self.entries > MAX_ENTRIES {
            true => Err(ArchiveError::TooManyEntries),
            false => Ok(()),
        }
    }

    fn invalid_extension(&self, reason: &'static str) -> ArchiveError {
        ArchiveError::Extension {
            offset: self.offset,
            reason,
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

fn name(bytes: Vec<u8>) -> Result<String, ArchiveError> {
    if bytes.len() > MAX_NAME_BYTES {
        return Err(ArchiveError::NameTooLong { size: bytes.len() });
    }
    Ok(match String::from_utf8(bytes) {
        Ok(name) => name,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::file_header;

    #[test]
    fn entries_are_bounded() {
        let mut parser = Parser::new();
        // A million headers take a while to check.
        parser.entries = MAX_ENTRIES - 1;
        let header = file_header("a", 0o644, 0);
        assert!(matches!(parser.step(&header), Ok((BLOCK, Step::Entry(_)))));
        let error = parser.step(&header).unwrap_err();
        assert_eq!(error, ArchiveError::TooManyEntries);
    }
}
