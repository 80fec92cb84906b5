//! Where the content of sparse files begins, behind their maps.

use super::{Frames, State};
use crate::archive::{
    ArchiveError, MAX_NAME_BYTES,
    head::Head,
    sparse::{BAD_MAP, Found, Map, Records, Sparse},
};

impl Frames {
    /// What follows a header with this size, and these records of holes: its content or, before that, a map.
    pub(super) fn content(
        &mut self,
        mut head: Box<Head>,
        size: u64,
        sparse: &Records,
    ) -> Result<Option<Box<Head>>, ArchiveError> {
        if head.flag == b'S' {
            let (map, goes_on) =
                Map::old(&self.block).ok_or_else(|| self.invalid_header(BAD_MAP))?;
            let map = Box::new(map);
            if goes_on {
                self.state = State::Map { head, size, map };
                return Ok(None);
            }
            return self.sparse(head, size, map.finish()).map(Some);
        }
        match sparse
            .read(size)
            .map_err(|reason| self.invalid_extension(reason))?
        {
            Found::Nothing => Ok(Some(self.begin(head, size))),
            _ if !head.is_sized() => Err(self.invalid_extension("what it calls sparse is no file")),
            Found::Whole(found) => {
                rename(&mut head, sparse.name())?;
                self.sparse(head, size, Some(found)).map(Some)
            }
            Found::InContent(real) => {
                rename(&mut head, sparse.name())?;
                let map = Box::new(Map::text(real));
                self.state = State::Map { head, size, map };
                Ok(None)
            }
        }
    }

    /// A block of a map is complete.
    pub(super) fn map(
        &mut self,
        head: Box<Head>,
        size: u64,
        mut map: Box<Map>,
    ) -> Result<Option<Box<Head>>, ArchiveError> {
        let is_last = map.block(&self.block);
        let is_last = is_last.map_err(|reason| self.invalid_header(reason))?;
        let left = match map.is_in_content() {
            true => size.checked_sub(map.read()),
            false => Some(size),
        };
        let left = left.ok_or_else(|| self.invalid_header(BAD_MAP))?;
        if is_last {
            return self.sparse(head, left, map.finish()).map(Some);
        }
        self.state = State::Map { head, size, map };
        Ok(None)
    }

    /// The content of a sparse file begins, of which `size` bytes are stored.
    fn sparse(
        &mut self,
        mut head: Box<Head>,
        size: u64,
        sparse: Option<Sparse>,
    ) -> Result<Box<Head>, ArchiveError> {
        let sparse = sparse.filter(|sparse| sparse.is_sound(size));
        head.sparse = Some(sparse.ok_or_else(|| self.invalid_header(BAD_MAP))?);
        Ok(self.begin(head, size))
    }
}

/// Gives a sparse file its own name, if it has one.
fn rename(head: &mut Head, name: &[u8]) -> Result<(), ArchiveError> {
    if name.len() > MAX_NAME_BYTES {
        return Err(ArchiveError::NameTooLong { size: name.len() });
    }
    if !name.is_empty() {
        head.path = name.to_vec();
    }
    Ok(())
}
