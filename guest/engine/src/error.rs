//! The one error of the engine: the cases of WIT's `types.error`.
//!
//! Texts are what a person reads after `Error response from daemon: `: what
//! happened, to which reference or digest, and what to do next. They never hold
//! credentials or query strings.

use strata_oci::{Digest, archive::ArchiveError, config::ConfigError, document::DocumentError};

/// `Result` with the engine's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed. Not `non_exhaustive`: each face matches every case,
/// so a new one does not build until every face has decided about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A reference, digest, platform, filter or other argument does not parse.
    #[error("{0}")]
    InvalidArgument(String),
    /// No such image, tag, blob or repository.
    #[error("{0}")]
    NotFound(String),
    /// The image is in use, the name moved, or the operation already runs.
    #[error("{0}")]
    Conflict(String),
    /// The registry wants credentials or refused those given.
    #[error("{0}")]
    Unauthorized(String),
    /// The registry wants user name and password, and there were none. Apart from
    /// [`Error::Unauthorized`] because the Docker face answers it with another status,
    /// as dockerd does.
    #[error("{0}")]
    LoginMissing(String),
    /// The registry, or a capability of the host, forbids it.
    #[error("{0}")]
    Denied(String),
    /// The registry asks to wait.
    #[error("{message}")]
    RateLimited {
        /// The registry's words.
        message: String,
        /// Seconds to wait, when the registry said.
        retry_after: Option<u32>,
    },
    /// A manifest, index or config breaks its specification.
    #[error("{0}")]
    ManifestInvalid(String),
    /// Received bytes have another digest than the one asked for.
    #[error(
        "content does not match its digest: expected {expected}, received {actual}; the registry or a proxy served other bytes, try again or report it there"
    )]
    DigestMismatch {
        /// Asked for.
        expected: Digest,
        /// Received.
        actual: Digest,
    },
    /// Content in the store is not what it was; a pull or load of its image replaces
    /// it.
    #[error("{0}")]
    Damaged(String),
    /// No manifest for the platform asked for.
    #[error("{0}")]
    PlatformMismatch(String),
    /// A media type, schema version or feature that is not supported.
    #[error("{0}")]
    Unsupported(String),
    /// The disk is full.
    #[error("{0}")]
    NoSpace(String),
    /// A limit was reached.
    #[error("{0}")]
    QuotaExceeded(String),
    /// A peer does not answer, or answers with a server error, after every
    /// retry.
    #[error("{0}")]
    Unavailable(String),
    /// Cancelled; what was fetched is kept for resume.
    #[error("cancelled")]
    Cancelled,
    /// A fault of strata or its host.
    #[error("{0}")]
    Internal(String),
}

/// The most characters of a reason that are passed on: what strangers wrote may be quoted in it.
const MAX_REASON_CHARS: usize = 1000;

impl Error {
    /// Content that breaks its specification or is not what its digest says.
    pub(crate) fn invalid(reason: impl std::fmt::Display) -> Self {
        Self::ManifestInvalid(shortened(reason))
    }

    /// Content that is sound but more than is taken.
    pub(crate) fn over(reason: impl std::fmt::Display) -> Self {
        Self::QuotaExceeded(shortened(reason))
    }

    /// A manifest or index that cannot be read, and where it is.
    pub(crate) fn document(digest: &Digest, error: &DocumentError) -> Self {
        let reason = format_args!("{digest}: {error}");
        match error {
            DocumentError::Schema1 | DocumentError::UnsupportedMediaType(_) => {
                Self::Unsupported(shortened(reason))
            }
            error if error.is_over_limit() => Self::over(reason),
            _ => Self::invalid(reason),
        }
    }

    /// What a broken or hostile archive is to whoever sends it.
    pub(crate) fn archive(error: ArchiveError) -> Self {
        let message = error.to_string();
        match error {
            ArchiveError::Empty => Self::InvalidArgument("unrecognized image format".to_owned()),
            ArchiveError::Sparse(_) => Error::Unsupported(message),
            ArchiveError::TooManyEntries
            | ArchiveError::NameTooLong { .. }
            | ArchiveError::ExtensionTooLong { .. } => Error::QuotaExceeded(message),
            ArchiveError::Truncated { .. }
            | ArchiveError::Header { .. }
            | ArchiveError::Extension { .. }
            | ArchiveError::Outside(_)
            | ArchiveError::LinkOutside { .. } => Error::InvalidArgument(message),
        }
    }

    /// An image config that cannot be read, and where it is.
    pub(crate) fn config(digest: &Digest, error: &ConfigError) -> Self {
        let reason = format_args!("{digest}: {error}");
        match error.is_over_limit() {
            true => Self::over(reason),
            false => Self::invalid(reason),
        }
    }
}

fn shortened(reason: impl std::fmt::Display) -> String {
    let mut reason = reason.to_string();
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
        reason.truncate(end);
        reason.push('\u{2026}');
    }
    reason
}

impl Error {
    /// The text, if the case has one of its own.
    pub(crate) fn text_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::InvalidArgument(text)
            | Self::NotFound(text)
            | Self::Conflict(text)
            | Self::Unauthorized(text)
            | Self::LoginMissing(text)
            | Self::Denied(text)
            | Self::RateLimited { message: text, .. }
            | Self::ManifestInvalid(text)
            | Self::Damaged(text)
            | Self::PlatformMismatch(text)
            | Self::Unsupported(text)
            | Self::NoSpace(text)
            | Self::QuotaExceeded(text)
            | Self::Unavailable(text)
            | Self::Internal(text) => Some(text),
            Self::DigestMismatch { .. } | Self::Cancelled => None,
        }
    }

    /// The same without what could drive a terminal: texts quote what strangers wrote. Each
    /// face makes every error it shows so.
    #[must_use]
    pub fn printable(mut self) -> Self {
        if let Some(text) = self.text_mut() {
            *text = strata_oci::printable(text);
        }
        self
    }
}
