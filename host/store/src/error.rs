//! What can go wrong, said once: which digest or name, what happened, what to do next.

use std::io;

use rustix::io::Errno;

use strata_oci::digest::{Digest, DigestError};

/// Why a store operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such blob, or a name's target is not in the store.
    #[error("{0}")]
    NotFound(String),
    /// The store changed underneath: read again and retry.
    #[error("{0}")]
    Conflict(String),
    /// An argument breaks its rules.
    #[error("{0}")]
    Argument(String),
    /// Stored data, or what is to be stored, breaks its rules.
    #[error("{0}")]
    Invalid(String),
    /// A blob is larger than the caller is willing to hold in memory.
    #[error("{digest} has {size} bytes, more than the {limit} allowed here; stream it instead")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// The caller's limit in bytes.
        limit: u64,
    },
    /// Bytes have another digest than the one they were stored or promised under.
    #[error("expected {expected}, but the bytes have {actual}; they were not accepted")]
    DigestMismatch {
        /// The digest asked for.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// A blob in the store is not what it was.
    #[error(
        "blob {digest} is damaged: {reason}; pull or load its image again, or repair the store \
         with `strata check --repair`"
    )]
    Damaged {
        /// The blob.
        digest: Digest,
        /// What is wrong with it.
        reason: String,
    },
    /// More data than is kept.
    #[error("{0}")]
    TooMuch(String),
    /// More bytes came than the blob has. Those beyond its end were not accepted.
    #[error("more bytes came than the {expected} the blob has; check the size in its descriptor")]
    TooLong {
        /// Declared size in bytes.
        expected: u64,
    },
    /// Fewer bytes came than the blob has. They are kept for resume.
    #[error("only {actual} of {expected} bytes came; they are kept, resume the download")]
    TooShort {
        /// Declared size in bytes.
        expected: u64,
        /// Bytes at hand.
        actual: u64,
    },
    /// The disk, or a quota on it, is full. What was durable before still is.
    #[error("no space left on the store's disk: {0}; free space, for example by pruning images")]
    NoSpace(String),
    /// The store cannot be written.
    #[error("the store is read-only: {0}")]
    ReadOnly(String),
    /// Another process holds one of the store's locks longer than anybody should.
    #[error("the store is locked: {0}; try again, or end that process")]
    Locked(String),
    /// There is no memory for it beside what others do.
    #[error("{0}")]
    Busy(String),
    /// The operating system refused a file operation.
    #[error("{context}: {source}")]
    Io {
        /// What was being done, and to which file.
        context: String,
        /// The system's answer.
        source: io::Error,
    },
    /// SQLite refused an operation.
    #[error("the store's database failed: {0}")]
    Database(#[source] rusqlite::Error),
    /// The database is damaged; the next start rebuilds it.
    #[error("{0}")]
    Broken(String),
    /// A feature that is not implemented, or a store of another version.
    #[error("{0}")]
    Unsupported(String),
}

impl Error {
    /// From a failed read or write; `context` names the action and the file. A full disk and a
    /// read-only one get their own case, and so does why a stream cannot be decompressed.
    pub fn io(context: impl Into<String>, source: io::Error) -> Error {
        let source = match strata_codec::Error::of(source) {
            Ok(strata_codec::Error::Invalid(text)) => return Error::Invalid(text),
            Ok(strata_codec::Error::Busy(text)) => return Error::Busy(text),
            Err(source) => source,
        };
        let context = context.into();
        match source.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::NOSPC | Errno::DQUOT) => Error::NoSpace(context),
            Some(Errno::ROFS) => Error::ReadOnly(context),
            _ => Error::Io { context, source },
        }
    }

    /// Whether a database's file is not what SQLite, or this program, wrote there.
    pub(crate) fn is_broken(&self) -> bool {
        use rusqlite::{Error as E, ErrorCode, ffi};
        // What is missing, or there although it is made just now.
        let is_schema = |text: &str| {
            text.starts_with("no such ")
                || text.ends_with(" already exists")
                || text.contains(" has no column ")
                || text.contains(" columns but ")
        };
        let Error::Database(source) = self else {
            return false;
        };
        match source {
            E::SqliteFailure(failure, text) => {
                matches!(
                    failure.code,
                    ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase
                ) || failure.extended_code == ffi::SQLITE_IOERR_SHORT_READ
                    || text.as_deref().is_some_and(is_schema)
            }
            E::SqlInputError { msg, .. } => is_schema(msg),
            // Each query here has rows, or asks whether it has.
            E::QueryReturnedNoRows
            | E::FromSqlConversionFailure(..)
            | E::IntegralValueOutOfRange(..)
            | E::Utf8Error(..)
            | E::InvalidColumnType(..) => true,
            _ => false,
        }
    }

    /// Whether the database refused a row as such.
    pub(crate) fn is_constraint(&self) -> bool {
        let Error::Database(rusqlite::Error::SqliteFailure(failure, _)) = self else {
            return false;
        };
        failure.code == rusqlite::ErrorCode::ConstraintViolation
    }

    /// The same error once more, for every caller that meets it.
    pub(crate) fn again(&self) -> Error {
        match self {
            Error::NotFound(text) => Error::NotFound(text.clone()),
            Error::Conflict(text) => Error::Conflict(text.clone()),
            Error::Argument(text) => Error::Argument(text.clone()),
            Error::Invalid(text) => Error::Invalid(text.clone()),
            Error::TooLarge {
                digest,
                size,
                limit,
            } => Error::TooLarge {
                digest: digest.clone(),
                size: *size,
                limit: *limit,
            },
            Error::DigestMismatch { expected, actual } => Error::DigestMismatch {
                expected: expected.clone(),
                actual: actual.clone(),
            },
            Error::Damaged { digest, reason } => Error::Damaged {
                digest: digest.clone(),
                reason: reason.clone(),
            },
            Error::TooMuch(text) => Error::TooMuch(text.clone()),
            Error::TooLong { expected } => Error::TooLong {
                expected: *expected,
            },
            Error::TooShort { expected, actual } => Error::TooShort {
                expected: *expected,
                actual: *actual,
            },
            Error::NoSpace(text) => Error::NoSpace(text.clone()),
            Error::ReadOnly(text) => Error::ReadOnly(text.clone()),
            Error::Locked(text) => Error::Locked(text.clone()),
            Error::Busy(text) => Error::Busy(text.clone()),
            Error::Unsupported(text) => Error::Unsupported(text.clone()),
            Error::Broken(text) => Error::Broken(text.clone()),
            Error::Io { context, source } => Error::Io {
                context: context.clone(),
                source: match source.raw_os_error() {
                    Some(code) => io::Error::from_raw_os_error(code),
                    None => io::Error::new(source.kind(), source.to_string()),
                },
            },
            Error::Database(source) => Error::Io {
                context: "the store's database failed".into(),
                source: io::Error::other(source.to_string()),
            },
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(source: rusqlite::Error) -> Error {
        use rusqlite::ErrorCode;
        // SQLite cannot grow its shared index on a full disk and calls that an I/O error.
        const IOERR_SHMSIZE: i32 = 10 | (19 << 8);
        if let rusqlite::Error::SqliteFailure(failure, _) = &source {
            let text = source.to_string();
            match failure.code {
                ErrorCode::DiskFull => return Error::NoSpace(text),
                ErrorCode::ReadOnly => return Error::ReadOnly(text),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return Error::Locked(text),
                _ if failure.extended_code == IOERR_SHMSIZE => return Error::NoSpace(text),
                _ => {}
            }
        }
        Error::Database(source)
    }
}

/// What is stored cannot have been written.
pub(crate) fn broken(why: impl std::fmt::Display) -> Error {
    let failure = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Error::Database(rusqlite::Error::SqliteFailure(
        failure,
        Some(why.to_string()),
    ))
}

impl From<DigestError> for Error {
    fn from(error: DigestError) -> Error {
        Error::Invalid(error.to_string())
    }
}

/// Says what was being done when a file operation failed.
pub(crate) trait Doing<T> {
    /// `context` names the action and the file.
    fn doing<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T, Error>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T, Error> {
        self.map_err(|source| Error::io(context(), source))
    }
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing<C: Into<String>>(self, context: impl FnOnce() -> C) -> Result<T, Error> {
        self.map_err(|source| Error::io(context(), source.into()))
    }
}
