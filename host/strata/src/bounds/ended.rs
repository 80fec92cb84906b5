//! Why the host ended an operation, in words for the one who asked for it.

use std::time::Duration;

use rustix::io::Errno;
use wasmtime::Trap;

/// Seconds after which a client may ask again that was turned away.
pub(crate) const RETRY_AFTER: u64 = 5;

/// Why an operation has no result of its own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Ended {
    /// It wants more memory than one instance gets.
    #[error(
        "the operation needs more than {} MiB of memory, which is the limit for one (--memory-limit)",
        .0 >> 20
    )]
    Memory(usize),
    /// It has computed for too long.
    #[error(
        "the operation took more than {} s of processor time, which is the limit for one (--compute-limit)",
        .0.as_secs()
    )]
    Compute(Duration),
    /// It held up those it shares an instance with, and begins again alone.
    #[error("the operation held up others")]
    Hogged,
    /// There is no room for it beside all others.
    #[error("the server is busy: there is no room for another operation now, try again later")]
    Busy,
    /// Its client neither sent nor read.
    #[error(
        "the client neither sent nor read anything for {} s and was cut off (--stall-limit)",
        .0.as_secs()
    )]
    Stalled(Duration),
    /// Its client neither sent nor read while others waited for its place.
    #[error("the client neither sent nor read while others waited, and was cut off; try again")]
    Yielded,
    /// Whom it asked did not answer while others waited for its place.
    #[error(
        "the registry did not answer while others waited, and the operation was ended; try again"
    )]
    Silent,
    /// Its body is larger than the operation takes.
    #[error("the request's body is larger than the {0} bytes this operation takes")]
    TooLarge(u64),
    /// Its body ended before its end.
    #[error(
        "the request's body broke off before its end, or is not framed as HTTP has it; send the request again"
    )]
    BrokenOff,
    /// The component failed: a fault of strata.
    #[error("the component failed: {0}; this is a fault of strata, please report it")]
    Failed(String),
}

impl Ended {
    /// What a failure of an instance means. Without the backtrace, which is for the log.
    pub(crate) fn of(error: &wasmtime::Error) -> Self {
        if let Some(ended) = error.downcast_ref::<Self>() {
            return ended.clone();
        }
        if let Some(trap) = error.downcast_ref::<Trap>() {
            return Self::Failed(trap.to_string());
        }
        let cause = error.root_cause();
        let io = cause.downcast_ref().and_then(Errno::from_io_error);
        if io.or(cause.downcast_ref().copied()) == Some(Errno::NOMEM) {
            return Self::Busy;
        }
        Self::Failed(cause.to_string())
    }

    /// Whether the one who asked is told that strata is at fault.
    pub(crate) fn is_fault(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_reason_is_found_below_a_backtrace_and_says_its_bound() {
        let error = wasmtime::Error::new(Ended::Memory(64 << 20)).context("wasm backtrace:\n 0: x");
        assert_eq!(Ended::of(&error), Ended::Memory(64 << 20));
        assert!(Ended::of(&error).to_string().contains("64 MiB"));
        let error = wasmtime::Error::new(Trap::UnreachableCodeReached).context("wasm backtrace");
        let text = Ended::of(&error).to_string();
        assert!(!text.contains("backtrace"), "{text}");
    }
}
