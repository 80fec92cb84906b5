//! The one error of the engine: the cases of WIT's `types.error`.
//!
//! Texts are what a person reads after `Error response from daemon: `: what
//! happened, to which reference or digest, and what to do next. They never hold
//! credentials or query strings.

use strata_oci::Digest;

/// `Result` with the engine's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What [`Error::Unauthorized`] ends with when a registry asks for Basic
/// credentials and there were none. The Docker face answers it with another status
/// than wrong credentials, as dockerd does.
pub const NO_BASIC_CREDENTIALS: &str = "no basic auth credentials";

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
    /// The registry, or a capability not lent, forbids it.
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
