//! What the engine makes of the registry client: whom it asks as whom, what of it people see, and
//! which case of [`Error`] each of its faults is.

use strata_oci::{Digest, Reference};
pub(crate) use strata_registry::{
    Attempts, Chunk, Disposition, Opened, Published, Put, Relisted, Resolution, Started,
    UploadSession,
};
use strata_registry::{Fault, LentError, RefusalKind, RegistryError, RegistrySettings};

use crate::{Clock, Engine, Error, Event, Host, Progress, RegistryAuth, Result, Retry, Settings};

/// A failed request, or what failed beside it: the store, or whoever sends a body.
pub(crate) type Failure = RegistryError<Error>;
/// A client for one repository.
pub(crate) type RepositoryOf<'a, H> =
    strata_registry::Repository<'a, <H as Host>::Transport, <H as Host>::Clock>;

impl<H: Host> Engine<H> {
    /// A client for the repository of `reference`, for one operation.
    pub(crate) fn repository<'a>(
        &'a self,
        reference: &Reference,
        auth: &RegistryAuth,
        headers: &[(String, String)],
        progress: &'a dyn Progress,
    ) -> RepositoryOf<'a, H> {
        let Settings {
            version,
            mirrors,
            insecure_registries: insecure,
            ..
        } = &self.settings;
        let settings = RegistrySettings {
            version,
            mirrors,
            insecure,
        };
        let warn = move |text| progress.report(Event::Warning(text));
        let (transport, clock) = (&self.transport, &self.clock);
        RepositoryOf::<H>::new(transport, clock, &settings, reference, auth, headers, warn)
    }
}

/// A failure that may be gone next time.
pub(crate) fn passing(text: String) -> Failure {
    Failure::from(Error::Unavailable(text))
}

/// Does `attempt` until it succeeds or no further attempt is due; people see each further one.
/// `digest` is what fails, if it is a blob.
///
/// # Errors
/// The last failure's error.
pub(crate) async fn retrying<C: Clock, R>(
    digest: Option<&Digest>,
    clock: &C,
    progress: &dyn Progress,
    attempt: impl AsyncFnMut() -> Result<R, Failure>,
) -> Result<R> {
    let report = |retry| report_retry(digest, progress, retry);
    let done = strata_registry::retrying(clock, report, attempt).await;
    done.map_err(error_of)
}

/// Shows that another attempt is about to be made.
pub(crate) fn report_retry(
    digest: Option<&Digest>,
    progress: &dyn Progress,
    retry: strata_registry::Retry<Error>,
) {
    progress.report(Event::Retry(Retry {
        digest: digest.cloned(),
        attempt: retry.attempt,
        delay: u32::try_from(retry.delay.as_millis()).unwrap_or(u32::MAX),
        reason: error_of(retry.reason).printable(),
    }));
}

impl LentError for Error {
    fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    fn takes_context(&self) -> bool {
        // The store's own words: no registry is to blame.
        let is_stores = matches!(
            self,
            Self::NoSpace(_) | Self::Damaged(_) | Self::Internal(_)
        );
        !is_stores && !matches!(self, Self::DigestMismatch { .. } | Self::Cancelled)
    }
}

/// The error a failure is.
pub(crate) fn error_of(failure: Failure) -> Error {
    let text = failure.to_string();
    Error::of_registry(*failure.fault, text)
}

impl Error {
    /// The one place that says which case a registry's fault is; `text` is all there is to say.
    pub(crate) fn of_registry(fault: Fault<Self>, text: String) -> Self {
        match fault {
            Fault::Lent(mut error) => {
                if let Some(own) = error.text_mut() {
                    *own = text;
                }
                error
            }
            Fault::Refused(refusal) => match refusal.kind() {
                RefusalKind::RateLimited => {
                    let seconds = refusal.retry_after.map(|wait| wait.as_secs());
                    Self::RateLimited {
                        message: text,
                        retry_after: seconds.map(|it| u32::try_from(it).unwrap_or(u32::MAX)),
                    }
                }
                RefusalKind::Unauthorized => Self::Unauthorized(text),
                RefusalKind::Denied => Self::Denied(text),
                RefusalKind::NotFound => Self::NotFound(text),
                RefusalKind::InvalidArgument => Self::InvalidArgument(text),
                RefusalKind::ManifestInvalid => Self::ManifestInvalid(text),
                RefusalKind::Unsupported => Self::Unsupported(text),
                RefusalKind::Unavailable => Self::Unavailable(text),
            },
            Fault::DigestMismatch { expected, actual } => Self::DigestMismatch { expected, actual },
            Fault::CredentialsMissing => Self::LoginMissing(text),
            Fault::CredentialsWrong | Fault::EndlessChallenges => Self::Unauthorized(text),
            Fault::PushDenied | Fault::PlainTokenServer { .. } => Self::Denied(text),
            Fault::PullDenied { .. }
            | Fault::ReferenceNotFound { .. }
            | Fault::ReferenceNotAtMirrors { .. }
            | Fault::RepositoryNotFound { .. }
            | Fault::RepositoryNotAtMirrors { .. }
            | Fault::BlobNotFound { .. } => Self::NotFound(text),
            Fault::RegistryAddress { .. } => Self::InvalidArgument(text),
            Fault::DocumentTooLarge { .. }
            | Fault::SizeMismatch { .. }
            | Fault::ForeignAddress { .. }
            | Fault::ManifestMediaType { .. }
            | Fault::ManifestNotTaken { .. }
            | Fault::ManifestRefused { .. } => Self::ManifestInvalid(text),
            Fault::TooSlow { .. }
            | Fault::ManifestTooLarge { .. }
            | Fault::ReferrersFull { .. } => Self::QuotaExceeded(text),
            Fault::TokenServerAddress { .. }
            | Fault::NoToken { .. }
            | Fault::WebPage { .. }
            | Fault::Cut { .. }
            | Fault::Redirect { .. }
            | Fault::UnusableLocation { .. }
            | Fault::TagList(_)
            | Fault::UploadWithoutAddress
            | Fault::UploadAddress => Self::Unavailable(text),
            Fault::ReferrersUnwritable(_) => Self::Internal(text),
        }
    }
}

#[cfg(any(test, feature = "memory"))]
impl strata_registry::testing::ScriptedError for Error {
    fn no_answer(text: &str) -> Self {
        Self::Unavailable(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_store_says_blames_no_registry() {
        let said = |error: fn(String) -> Error| {
            let failure = Failure::from(error("reading: Input/output error".to_owned()));
            error_of(failure.context("fetching x from registry.example"))
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
