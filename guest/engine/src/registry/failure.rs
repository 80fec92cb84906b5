//! Why one request failed, with what a retry needs to know beside the error.

use std::time::Duration;

use http::{StatusCode, Uri};

use super::address;
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
    /// The mirrors that do not have what the registry could not be asked for.
    pub(crate) absent_at: Option<String>,
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
            absent_at: None,
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
            absent_at: None,
        }
    }

    /// A bound of this client was reached: no retry changes that.
    pub(crate) fn over(bound: String) -> Self {
        Self {
            complete: false,
            ..Self::last(Error::QuotaExceeded(bound))
        }
    }

    /// Something answered in place of a registry. People who are behind a captive portal
    /// need to see which.
    pub(crate) fn web_page(from: &Uri) -> Self {
        Self {
            complete: false,
            ..Self::last(Error::Unavailable(format!(
                "{} answered with a web page instead of a registry's answer; \
                 is there a portal or a proxy that wants a login?",
                address::shown(from)
            )))
        }
    }

    /// Adds what the mirrors said that were asked before: those that `absent` names have
    /// not got it, the others failed as `failed` says. Who has the last word is the
    /// registry, if it said anything.
    #[must_use]
    pub(super) fn after_mirrors(mut self, absent: &[&str], failed: &[String]) -> Self {
        let answered = self.status.is_some();
        if !absent.is_empty() && !answered {
            self.absent_at = Some(absent.join(" and "));
        }
        let Some(text) = self.error.text_mut() else {
            return self;
        };
        for failure in failed {
            text.push_str("; ");
            text.push_str(failure);
        }
        self
    }

    /// Says what was being done, unless the text is complete.
    #[must_use]
    pub(crate) fn context(mut self, doing: &str) -> Self {
        // The store's own words: no registry is to blame.
        let is_stores = matches!(
            self.error,
            Error::NoSpace(_) | Error::Damaged(_) | Error::Internal(_)
        );
        if self.complete || is_stores {
            return self;
        }
        if let Some(text) = self.error.text_mut() {
            *text = format!("{doing}: {text}");
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
            absent_at: None,
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
