//! JSON as Go reads it: the one reader of every document that strangers wrote.
//!
//! Docker, containerd and registries are written in Go, so a document means what `encoding/json` makes of it. A member
//! is found by its exact name or else in any case; of one given twice the later counts, member by member for objects;
//! `null` is what absence is; bytes that are no UTF-8 and lone surrogates become U+FFFD. All of a document must be JSON,
//! also what nobody asked for.
//!
//! It is a `serde` deserialiser, so what is read is a plain `Deserialize`. Nothing is put into a tree first: a document is
//! looked over once (`scan`), and then taken apart where it lies. What may be many is counted meanwhile (`limits`).

use std::fmt::Display;

use serde::{Deserialize, de};

mod access;
mod fold;
pub(crate) mod limits;
mod members;
mod scan;
mod text;
mod value;

#[cfg(test)]
mod tests;

pub use limits::{
    MAX_ANNOTATIONS, MAX_FEATURES, MAX_HISTORY, MAX_LABELS, MAX_MEDIA_TYPE, MAX_PLATFORM_FEATURES,
    MAX_PLATFORM_WORD, MAX_PORTS, MAX_URLS, MAX_VOLUMES, MAX_WORDS,
};
pub use members::Members;

/// How deep objects and lists may be nested: Go's limit, so that nothing is kept here that no Go client reads.
pub const MAX_DEPTH: usize = 10_000;
/// How deep what is wanted may lie. Reading it recurses; the deepest document known has six levels. What is
/// passed over is not taken apart, and only [`MAX_DEPTH`] holds.
const MAX_READ_DEPTH: usize = 128;
/// The most characters of a reason that are kept: reasons may quote a value.
const MAX_REASON_CHARS: usize = 300;

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is no JSON; the text is Go's, which people look for.
    #[error("invalid character {:?} {context} (byte {offset})", char::from(*.found))]
    Syntax {
        /// The byte at fault.
        found: u8,
        /// What was expected there.
        context: &'static str,
        /// Where it is.
        offset: usize,
    },
    /// It stops where more must come.
    #[error("unexpected end of JSON input")]
    End,
    /// More than [`MAX_DEPTH`], or 128 of what is wanted.
    #[error("exceeded max depth")]
    TooDeep,
    /// A member is not of its type, or missing.
    #[error("{0}")]
    Mismatch(String),
    /// More than one of the `limits`.
    #[error("too many {what}, the limit is {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        most: usize,
    },
}

impl Error {
    /// Whether all is well but for something behind the value.
    pub fn is_after_value(&self) -> bool {
        matches!(self, Self::Syntax { context, .. } if *context == scan::AFTER_VALUE)
    }

    /// Whether it is sound but more than is taken here.
    pub fn is_over_limit(&self) -> bool {
        matches!(self, Self::TooMany { .. })
    }
}

impl de::Error for Error {
    fn custom<T: Display>(reason: T) -> Self {
        let mut reason = reason.to_string();
        if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
            reason.truncate(end);
            reason.push('\u{2026}');
        }
        Self::Mismatch(reason)
    }
}

/// Reads a document.
///
/// # Errors
/// [`Error`].
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    read(bytes, true)
}

/// Reads a document without its `limits`: the list of an archive's images, which has a limit of its own.
///
/// # Errors
/// [`Error`], but not [`Error::TooMany`].
pub(crate) fn from_slice_unlimited<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    read(bytes, false)
}

fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8], is_limited: bool) -> Result<T, Error> {
    let start = scan::check(bytes)?;
    let source = value::Source::new(bytes, is_limited);
    T::deserialize(value::Value::new(&source, start))
}
