//! How far a store had come, noted beside its database: one that stands before that has lost changes, with its log
//! for example, which SQLite does not notice.

use std::fs::File;
use std::io::{self, Write as _};

use crate::database::Database;
use crate::error::Doing as _;
use crate::private::Private;
use crate::{Error, aside, regular};

const FILE: &str = "generation";
/// Bytes of the note: the generation, twice.
const LENGTH: usize = 42;

/// Notes where the database stands. Callers hold the lock of `index.json`.
pub(crate) fn note(private: &Private, database: &Database) -> Result<(), Error> {
    let generation = database.head()?.generation;
    // Written over what was there: a full disk has room for that.
    let text = format!("{generation:020} {generation:020}\n");
    let path = private.path(FILE);
    regular::clear_other(&path, false);
    let open = || -> io::Result<File> {
        let mut options = regular::options();
        options.create(true).truncate(false).write(true).open(&path)
    };
    let written = open().and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.set_len(LENGTH as u64)
    });
    written.doing(|| format!("writing {}", path.display()))
}

/// Whether the database stands before where it was. A note that is not here, or damaged, says nothing.
pub(crate) fn is_behind(private: &Private, database: &Database) -> Result<bool, Error> {
    let Ok(Some(note)) = aside::read(&private.path(FILE), LENGTH as u64) else {
        return Ok(false);
    };
    Ok(read(&note) > Some(database.head()?.generation))
}

/// Forgets it: the database is another one.
pub(crate) fn forget(private: &Private) {
    let _ = regular::clear(&private.path(FILE));
}

fn read(note: &[u8]) -> Option<u64> {
    let text = str::from_utf8(note).ok()?;
    let (first, second) = text.strip_suffix('\n')?.split_once(' ')?;
    let is_whole = text.len() == LENGTH && first == second;
    is_whole.then(|| first.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_note_says_nothing() {
        let note = b"00000000000000000123 00000000000000000123\n";
        assert_eq!(read(note), Some(123));
        for at in 0..note.len() {
            let mut damaged = *note;
            if let Some(byte) = damaged.get_mut(at) {
                *byte ^= 1;
            }
            assert_eq!(read(&damaged), None, "{at}");
            assert_eq!(read(note.get(..at).unwrap_or_default()), None);
        }
    }
}
