//! Sparse files: content with holes, of which only the rest is stored. All forms that GNU tar has had are read as Go
//! reads them: the type `S`, and pax headers of versions 0.0, 0.1 and 1.0.
//!
//! <https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html>

use super::{
    BLOCK, MAX_EXTENSION_BYTES,
    number::{decimal, number},
};

/// Where the map is in the header block of type `S`: four places, then whether more follow, then the size.
const OLD_PLACES: usize = 386;
const OLD_COUNT: usize = 4;
/// The places of a block that continues such a map.
const MORE_COUNT: usize = 21;
/// Bytes of one place: offset and length, each in half of them.
const PLACE: usize = 24;
/// Bytes of a number in such a place.
const NUMBER: usize = 12;

/// A part of a sparse file that is stored. What lies between two of them is zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fragment {
    /// Where it is in the file.
    pub offset: u64,
    /// Its size in bytes.
    pub length: u64,
}

/// The content of a sparse file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    /// The size of the file in bytes, holes included.
    pub size: u64,
    /// What is stored, in order, one part right after the other.
    pub fragments: Vec<Fragment>,
}

impl Sparse {
    /// Bytes that are stored.
    pub fn stored(&self) -> u64 {
        let lengths = self.fragments.iter().map(|fragment| fragment.length);
        lengths.fold(0, u64::saturating_add)
    }

    /// Bytes that are not.
    pub fn holes(&self) -> u64 {
        self.size.saturating_sub(self.stored())
    }

    /// Whether the parts follow each other within the size, and fill what is stored.
    pub(super) fn is_sound(&self, stored: u64) -> bool {
        let mut end: u64 = 0;
        let mut fragments = self.fragments.iter();
        let in_order = fragments.all(|fragment| {
            let follows = fragment.offset >= end;
            let next = fragment.offset.checked_add(fragment.length);
            end = next.unwrap_or(u64::MAX);
            follows && next.is_some_and(|end| end <= self.size)
        });
        in_order && i64::try_from(self.size).is_ok() && self.stored() == stored
    }
}

/// What a pax header says of a sparse file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    major: Vec<u8>,
    minor: Vec<u8>,
    name: Vec<u8>,
    size: Vec<u8>,
    real_size: Vec<u8>,
    count: Vec<u8>,
    map: Vec<u8>,
    /// Offsets and lengths in turn, which version 0.0 has one by one.
    numbers: Vec<Vec<u8>>,
}

/// What a header and its extensions make of a sparse file.
pub(super) enum Found {
    /// It is none, or of a version nobody knows.
    Nothing,
    /// All is known; of what is stored the size comes from the header.
    Whole(Sparse),
    /// The map comes first in the content.
    InContent(u64),
}

/// Why a map is refused.
pub(super) const BAD_MAP: &str = "its map of a sparse file makes no sense";

impl Records {
    /// Whether anything was said.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes note of a record whose key starts with `GNU.sparse.`, which `key` is without.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let place = match key {
            b"major" => &mut self.major,
            b"minor" => &mut self.minor,
            b"name" => &mut self.name,
            b"size" => &mut self.size,
            b"realsize" => &mut self.real_size,
            b"numblocks" => &mut self.count,
            b"map" => &mut self.map,
            b"offset" | b"numbytes" => {
                let is_offset = key == b"offset";
                if self.numbers.len().is_multiple_of(2) != is_offset || value.contains(&b',') {
                    return Err(BAD_MAP);
                }
                self.numbers.push(value.to_vec());
                return Ok(());
            }
            _ => return Ok(()),
        };
        if value.contains(&0) {
            return Err("a pax name has a zero byte");
        }
        *place = value.to_vec();
        Ok(())
    }

    /// The name of the file, which tar hides behind one it made up; empty if there is none.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// What the records come to. `size` is the header's.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(super) fn read(&self, size: u64) -> Result<Found, &'static str> {
        let has_map = !self.map.is_empty() || !self.numbers.is_empty();
        let is_in_content = match (self.major.as_slice(), self.minor.as_slice()) {
            (b"0", b"0" | b"1") => false,
            (b"1", b"0") => true,
            (b"", b"") if has_map => false,
            _ => return Ok(Found::Nothing),
        };
        let given = [&self.size, &self.real_size];
        let given = given.into_iter().find(|given| !given.is_empty());
        let size = match given {
            Some(given) => decimal(given).ok_or(BAD_MAP)?,
            None => size,
        };
        if is_in_content {
            return Ok(Found::InContent(size));
        }
        let numbers = match self.numbers.is_empty() {
            true => self.map.split(|byte| *byte == b',').collect(),
            false => self.numbers.iter().map(Vec::as_slice).collect(),
        };
        let numbers: Vec<&[u8]> = match has_map {
            true => numbers,
            false => Vec::new(),
        };
        let count = decimal(&self.count).ok_or(BAD_MAP)?;
        if count.checked_mul(2) != Some(numbers.len() as u64) {
            return Err(BAD_MAP);
        }
        let fragments = fragments(numbers.into_iter()).ok_or(BAD_MAP)?;
        Ok(Found::Whole(Sparse { size, fragments }))
    }
}

/// Offsets and lengths in turn.
fn fragments<'a>(mut numbers: impl Iterator<Item = &'a [u8]>) -> Option<Vec<Fragment>> {
    let mut fragments = Vec::new();
    while let Some(offset) = numbers.next() {
        fragments.push(Fragment {
            offset: decimal(offset)?,
            length: decimal(numbers.next()?)?,
        });
    }
    Some(fragments)
}

/// A map that comes in blocks.
pub(super) struct Map {
    form: Form,
    /// The size of the file; of type `S` it is in its header.
    size: u64,
    /// Bytes of the map so far.
    read: u64,
}

enum Form {
    /// Version 1.0: lines with the number of parts, then offset and length of each.
    Text { text: Vec<u8>, lines: u64 },
    /// Type `S`: places after the header.
    Places(Vec<Fragment>),
}

impl Map {
    /// The map of version 1.0, of a file of this size.
    pub(super) fn text(size: u64) -> Self {
        let form = Form::Text {
            text: Vec::new(),
            lines: 0,
        };
        Self {
            form,
            size,
            read: 0,
        }
    }

    /// The map of a header of type `S`; the second says whether blocks follow that belong to it. `None` if it makes no
    /// sense.
    pub(super) fn old(header: &[u8; BLOCK]) -> Option<(Self, bool)> {
        let places = OLD_COUNT * PLACE;
        let (_, rest) = header.split_at_checked(OLD_PLACES)?;
        let (given, rest) = rest.split_at_checked(places)?;
        let (more, rest) = rest.split_first()?;
        let size = number(rest.get(..NUMBER)?)?;
        let mut fragments = Vec::new();
        take_places(given, &mut fragments)?;
        let map = Self {
            form: Form::Places(fragments),
            size: u64::try_from(size).ok()?,
            read: 0,
        };
        Some((map, *more != 0))
    }

    /// Whether its blocks are part of the content.
    pub(super) fn is_in_content(&self) -> bool {
        matches!(self.form, Form::Text { .. })
    }

    /// Bytes of the blocks so far.
    pub(super) fn read(&self) -> u64 {
        self.read
    }

    /// The next block; whether it was the last.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn block(&mut self, block: &[u8; BLOCK]) -> Result<bool, &'static str> {
        self.read += BLOCK as u64;
        if self.read > MAX_EXTENSION_BYTES {
            return Err("its map of a sparse file is too large");
        }
        match &mut self.form {
            Form::Places(fragments) => {
                let (places, rest) = block.split_at_checked(MORE_COUNT * PLACE).ok_or(BAD_MAP)?;
                take_places(places, fragments).ok_or(BAD_MAP)?;
                Ok(rest.first().is_none_or(|more| *more == 0))
            }
            Form::Text { text, lines } => {
                text.extend_from_slice(block);
                *lines += block.iter().filter(|byte| **byte == b'\n').count() as u64;
                if *lines == 0 {
                    return Err(BAD_MAP);
                }
                let count = text.split(|byte| *byte == b'\n').next();
                let count = count.and_then(decimal).ok_or(BAD_MAP)?;
                let needed = count.checked_mul(2).and_then(|lines| lines.checked_add(1));
                Ok(needed.is_some_and(|needed| *lines >= needed))
            }
        }
    }

    /// The file, when the map is complete; `None` if it makes no sense.
    pub(super) fn finish(self) -> Option<Sparse> {
        let fragments = match self.form {
            Form::Places(fragments) => fragments,
            Form::Text { text, .. } => {
                let mut lines = text.split(|byte| *byte == b'\n');
                let count = usize::try_from(decimal(lines.next()?)?).ok()?;
                fragments(lines.take(count.checked_mul(2)?))?
            }
        };
        Some(Sparse {
            size: self.size,
            fragments,
        })
    }
}

/// Reads places up to the first that is empty.
fn take_places(places: &[u8], fragments: &mut Vec<Fragment>) -> Option<()> {
    let places = places.chunks_exact(PLACE);
    for place in places.take_while(|place| place.first() != Some(&0)) {
        let (offset, length) = place.split_at_checked(NUMBER)?;
        fragments.push(Fragment {
            offset: u64::try_from(number(offset)?).ok()?,
            length: u64::try_from(number(length)?).ok()?,
        });
    }
    Some(())
}
