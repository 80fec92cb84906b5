//! Taking an archive of images apart as it arrives.

use super::{
    ArchiveError, Entry, Kind,
    frames::{Frame, Frames},
    head::Head,
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
#[derive(Default)]
pub struct Parser {
    frames: Frames,
}

impl Parser {
    /// A parser at the start of an archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the current entry's content that are still to come.
    pub fn remaining(&self) -> u64 {
        self.frames.remaining()
    }

    /// Looks at `input`, which follows what was used before, and says how many bytes of it are used up.
    ///
    /// # Errors
    /// [`ArchiveError`]; the parser is of no use then.
    pub fn step(&mut self, input: &[u8]) -> Result<(usize, Step), ArchiveError> {
        let (used, frame) = self.frames.step(input)?;
        let step = match frame {
            Frame::More => Step::More,
            Frame::Head(head) => Step::Entry(entry(*head)?),
            Frame::Content => Step::Content,
            Frame::End => Step::End,
        };
        Ok((used, step))
    }

    /// Tells whether the archive was whole, when no more input comes.
    ///
    /// # Errors
    /// [`ArchiveError::Empty`] or [`ArchiveError::Truncated`].
    pub fn finish(&self) -> Result<(), ArchiveError> {
        self.frames.finish()
    }
}

/// What a header says, as far as archives of images need it.
fn entry(head: Head) -> Result<Entry, ArchiveError> {
    // Its stored bytes are not what its name promises.
    if head.sparse.is_some() {
        return Err(ArchiveError::Sparse(text(head.path)));
    }
    let kind = match head.flag {
        _ if head.is_directory() => Kind::Directory,
        0 | b'0' | b'7' => Kind::File,
        b'1' => Kind::HardLink(text(head.link)),
        b'2' => Kind::Symlink(text(head.link)),
        b'3' | b'4' | b'6' => Kind::Device,
        other => Kind::Other(other),
    };
    Ok(Entry {
        path: text(head.path),
        kind,
        size: head.size.unwrap_or_default(),
    })
}

fn text(name: Vec<u8>) -> String {
    match String::from_utf8(name) {
        Ok(name) => name,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}
