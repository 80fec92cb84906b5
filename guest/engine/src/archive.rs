//! Archives: images out to tar and in from it.
//!
//! Everything streams. What is saved is resolved, checked and leased before the first
//! byte; what is loaded is stored under a lease as it comes, and names are set last, all
//! at once: an archive that turns out bad leaves nothing visible.

#[cfg(test)]
pub(crate) mod kept;
mod load;
mod save;
#[cfg(test)]
mod tests;

use crate::Error;

/// Content that breaks its specification or is not what its digest says.
fn invalid(error: impl std::fmt::Display) -> Error {
    Error::invalid(error)
}

/// Text of an archive in an error: quoted, and not more of it than helps.
fn quoted(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}\u{2026}", text.get(..end).unwrap_or_default()),
        None => format!("{text:?}"),
    }
}
