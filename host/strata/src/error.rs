//! The embedder's error.

use std::path::PathBuf;

use crate::{bounds::Ended, types};

/// `Result` with strata's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call into strata failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The engine refused or failed: the case says why, see `wit/types.wit`.
    #[error("{}", text(.0))]
    Image(types::Error),
    /// The store cannot be opened or written.
    #[error(transparent)]
    Store(#[from] strata_store::Error),
    /// The component cannot be read.
    #[error("cannot read the component {path}: {source}")]
    Component {
        /// Where it was looked for.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// This build carries no component.
    #[error(
        "this build of strata carries no component: build with `cargo xtask build`, or name one with --component"
    )]
    NoComponent,
    /// A setting does not parse.
    #[error("{setting}: {reason}")]
    Setting {
        /// Which.
        setting: &'static str,
        /// What is wrong with it and what is expected.
        reason: String,
    },
    /// A listener cannot be bound, or would be open to the network.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The reader an operation was given failed. The operation was cancelled.
    #[error("cannot read the input: {0}")]
    Input(#[source] std::io::Error),
    /// The writer an operation was given failed. The operation was cancelled.
    #[error("cannot write the output: {0}")]
    Output(#[source] std::io::Error),
    /// The operation was over a bound on memory or processor time; the text says which.
    #[error("{0}")]
    Limit(String),
    /// There was no room beside other operations, and none came in time.
    #[error("{0}")]
    Busy(String),
    /// The component trapped or does not fit this host: a fault of strata.
    #[error("{}", Ended::of(.0))]
    Host(wasmtime::Error),
}

impl From<wasmtime::Error> for Error {
    fn from(error: wasmtime::Error) -> Self {
        match Ended::of(&error) {
            Ended::Failed(_) => {
                tracing::debug!("the component failed: {error:?}");
                Self::Host(error)
            }
            ended => ended.into(),
        }
    }
}

impl From<Ended> for Error {
    fn from(ended: Ended) -> Self {
        let text = ended.to_string();
        match ended {
            Ended::Busy => Self::Busy(text),
            Ended::Failed(_) => Self::Host(wasmtime::Error::new(ended)),
            _ => Self::Limit(text),
        }
    }
}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        Self::Image(error)
    }
}

/// What the engine says, for people.
fn text(error: &types::Error) -> String {
    use types::Error as E;
    match error {
        E::InvalidArgument(text)
        | E::NotFound(text)
        | E::Conflict(text)
        | E::Unauthorized(text)
        | E::Denied(text)
        | E::ManifestInvalid(text)
        | E::Damaged(text)
        | E::PlatformMismatch(text)
        | E::Unsupported(text)
        | E::NoSpace(text)
        | E::QuotaExceeded(text)
        | E::Unavailable(text)
        | E::Internal(text) => text.clone(),
        E::RateLimited(limit) => match limit.retry_after {
            Some(seconds) => format!("{} (try again in {seconds} s)", limit.message),
            None => limit.message.clone(),
        },
        E::DigestMismatch(mismatch) => format!(
            "content does not match its digest: expected {}, received {}",
            mismatch.expected, mismatch.actual
        ),
        E::Cancelled => "cancelled; what was fetched is kept, run it again to continue".to_owned(),
    }
}

/// Store failures as the guest sees them.
impl From<strata_store::Error> for types::Error {
    fn from(error: strata_store::Error) -> Self {
        use strata_store::Error as E;
        let text = error.to_string();
        match error {
            E::NotFound(_) => Self::NotFound(text),
            E::Conflict(_) => Self::Conflict(text),
            E::Invalid(_) => Self::ManifestInvalid(text),
            E::Argument(_) | E::TooLong { .. } | E::TooShort { .. } => Self::InvalidArgument(text),
            E::TooLarge { .. } | E::TooMuch(_) => Self::QuotaExceeded(text),
            E::DigestMismatch { expected, actual } => Self::DigestMismatch(types::DigestMismatch {
                expected: expected.to_string(),
                actual: actual.to_string(),
            }),
            E::NoSpace(_) => Self::NoSpace(text),
            E::ReadOnly(_) => Self::Denied(text),
            E::Damaged { .. } => Self::Damaged(text),
            E::Unsupported(_) => Self::Unsupported(text),
            E::Locked(_) | E::Busy(_) => Self::Unavailable(text),
            // A disk or a program at fault, with its cause: waiting does not help, and no registry
            // is to blame.
            _ => Self::Internal(text),
        }
    }
}
