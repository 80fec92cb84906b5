//! Why one request failed, with what a retry needs to know beside the error.

use std::time::Duration;

use http::StatusCode;

use crate::Error;

/// A failed request.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// The error, in the words people will read.
    pub(crate) error: Error,
    /// Whether another attempt makes sense.
    pub(crate) again: Again,
    /// The status answered, if there was an answer.
    pub(crate) status: Option<StatusCode>,
    /// The text is complete: nothing about the request is put before it.
    pub(crate) complete: bool,
    /// The code of the first error in the answer's body, such as `BLOB_UNKNOWN`.
    pub(crate) code: Option<String>,
}

/// Whether and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// The same would happen again.
    Never,
    /// After a back-off.
    Later,
    /// Not before this long.
    After(Duration),
}

impl Failure {
    /// A failure that no retry cures and whose text is complete.
    pub(crate) fn last(error: Error) -> Self {
        Self {
            error,
            again: Again::Never,
            status: None,
            complete: true,
            code: None,
        }
    }

    /// A failure that may be gone next time.
    pub(crate) fn passing(message: String) -> Self {
        Self {
            error: Error::Unavailable(message),
            again: Again::Later,
            status: None,
            complete: false,
            code: None,
        }
    }

    /// Says what was being done, unless the text is complete.
    #[must_use]
    pub(crate) fn context(mut self, doing: &str) -> Self {
        if self.complete {
            return self;
        }
        match &mut self.error {
            Error::InvalidArgument(text)
            | Error::NotFound(text)
            | Error::Conflict(text)
            | Error::Unauthorized(text)
            | Error::Denied(text)
            | Error::RateLimited { message: text, .. }
            | Error::ManifestInvalid(text)
            | Error::PlatformMismatch(text)
            | Error::Unsupported(text)
            | Error::QuotaExceeded(text)
            | Error::Unavailable(text) => *text = format!("{doing}: {text}"),
            // The store's own words: no registry is to blame.
            Error::NoSpace(_) | Error::Damaged(_) | Error::Internal(_) => {}
            Error::DigestMismatch { .. } | Error::Cancelled => {}
        }
        self
    }
}

impl From<Error> for Failure {
    /// What a transport or a store says: only a missing answer or a cut body is
    /// worth another attempt.
    fn from(error: Error) -> Self {
        let again = match error {
            Error::Unavailable(_) => Again::Later,
            _ => Again::Never,
        };
        Self {
            error,
            again,
            status: None,
            complete: false,
            code: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_says_blames_no_registry() {
        let said = |error: fn(String) -> Error| {
            let failure = Failure::from(error("reading: Input/output error".to_owned()));
            failure.context("fetching x from registry.example").error
        };
        for error in [Error::Internal, Error::NoSpace, Error::Damaged] {
            assert_eq!(said(error).to_string(), "reading: Input/output error");
        }
        let text = said(Error::Unavailable).to_string();
        assert!(
            text.starts_with("fetching x from registry.example: "),
            "{text}"
        );
    }
}
