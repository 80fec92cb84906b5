//! Why one request failed, with what a retry needs to know beside the fault.

use std::{fmt, time::Duration};

use http::StatusCode;

use crate::Fault;

/// The words of the transport or of a body when it fails.
pub trait LentError: fmt::Display {
    /// Whether another attempt may do better: there was no answer, or it was cut.
    fn passes(&self) -> bool;

    /// Whether its text is about what was being done. What is said of this machine, such as
    /// a full disk, blames no registry.
    fn takes_context(&self) -> bool;
}

/// A failed request. Its text is what people read.
#[derive(Clone, Debug)]
pub struct RegistryError<E> {
    /// What went wrong.
    pub fault: Box<Fault<E>>,
    /// What is to be done about it.
    pub disposition: Disposition,
    /// The status answered, if there was an answer.
    pub status: Option<StatusCode>,
    /// The text is complete: nothing about the request is put before it.
    pub(crate) is_complete: bool,
    /// What was being done, the outermost last.
    pub(crate) doing: Vec<String>,
    /// What mirrors said that were asked before.
    pub(crate) mirrors: Vec<String>,
    /// The mirrors that do not have what the registry could not be asked for.
    pub(crate) absent_at: Option<String>,
}

/// What to do about a failed request: whether and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Nothing: the same would happen again.
    GiveUp,
    /// Try again after a back-off.
    Retry,
    /// Try again, but not before this long.
    RetryAfter(Duration),
}

impl<E: LentError> RegistryError<E> {
    /// One that no retry cures and whose text is complete.
    pub(crate) fn last(fault: Fault<E>) -> Self {
        Self {
            is_complete: true,
            ..Self::open(fault)
        }
    }

    /// One that no retry cures, and before whose text is said what was being done.
    pub(crate) fn open(fault: Fault<E>) -> Self {
        Self {
            fault: Box::new(fault),
            disposition: Disposition::GiveUp,
            status: None,
            is_complete: false,
            doing: Vec::new(),
            mirrors: Vec::new(),
            absent_at: None,
        }
    }

    /// The same failure, about which there is more to say than was said.
    #[must_use]
    pub(crate) fn because(self, fault: Fault<E>) -> Self {
        Self {
            fault: Box::new(fault),
            doing: Vec::new(),
            mirrors: Vec::new(),
            ..self
        }
    }

    /// The same where this is the last word: no retry changes it. `fault` may quote what was said so far.
    #[must_use]
    pub(crate) fn because_last(self, fault: impl FnOnce(&Self) -> Fault<E>) -> Self {
        let fault = fault(&self);
        Self {
            disposition: Disposition::GiveUp,
            ..self.because(fault)
        }
    }

    /// Whether the answer was that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status == Some(StatusCode::NOT_FOUND)
    }

    /// The code of the first error in the answer's body, such as `BLOB_UNKNOWN`.
    pub(crate) fn code(&self) -> Option<&str> {
        match &*self.fault {
            Fault::Refused(refusal) => refusal.code.as_deref(),
            _ => None,
        }
    }

    /// Adds what the mirrors said that were asked before: those that `absent` names have
    /// not got it, the others failed as `failed` says. Who has the last word is the
    /// registry, if it said anything.
    #[must_use]
    pub(crate) fn after_mirrors(mut self, absent: &[&str], failed: &[String]) -> Self {
        let answered = self.status.is_some();
        if !absent.is_empty() && !answered {
            self.absent_at = Some(absent.join(" and "));
        }
        if self.fault.takes_context() {
            self.mirrors.extend_from_slice(failed);
        }
        self
    }

    /// Says what was being done, unless the text is complete.
    #[must_use]
    pub fn context(mut self, doing: &str) -> Self {
        if !self.is_complete && self.fault.takes_context() {
            self.doing.push(doing.to_owned());
        }
        self
    }
}

impl<E: fmt::Display> fmt::Display for RegistryError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for doing in self.doing.iter().rev() {
            write!(f, "{doing}: ")?;
        }
        write!(f, "{}", self.fault)?;
        for mirror in &self.mirrors {
            write!(f, "; {mirror}")?;
        }
        Ok(())
    }
}

impl<E: LentError> From<E> for RegistryError<E> {
    /// What a transport or a body says: only a missing answer or a cut body is
    /// worth another attempt.
    fn from(error: E) -> Self {
        let disposition = match error.passes() {
            true => Disposition::Retry,
            false => Disposition::GiveUp,
        };
        Self {
            disposition,
            ..Self::open(Fault::Lent(error))
        }
    }
}
