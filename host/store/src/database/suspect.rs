//! A database that was found damaged while it was used: noted beside it, so that the next start rebuilds it.

use std::fs::{self, File};
use std::path::Path;

use crate::Error;
use crate::private::Private;

/// Says that whoever used the database found damage.
const FILE: &str = "store.db.damaged";

/// Whether damage was found.
pub(crate) fn is_noted(private: &Private) -> bool {
    private.path(FILE).exists()
}

/// Notes that the database at `path` was found damaged, and says what to do.
pub(super) fn note(path: &Path, error: &Error, is_writable: bool) -> Error {
    if is_writable {
        // Without it the next start finds the damage only if it meets it.
        let _ = File::create(path.with_file_name(FILE));
    }
    Error::Broken(format!(
        "the store's database {} is damaged ({error}); stop every strata that uses this store and \
         start it again: the next start rebuilds it, and keeps what can still be read",
        path.display()
    ))
}

/// Forgets what was found: it is put right.
pub(crate) fn clear(private: &Private) {
    let _ = fs::remove_file(private.path(FILE));
}
