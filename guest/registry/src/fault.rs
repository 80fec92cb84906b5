//! What can go wrong between a client and a registry, as facts; each has its sentence.

use http::Uri;
use strata_oci::Digest;

use crate::{LentError, Refusal, address};

/// What went wrong. `E` is what transport and bodies say.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Fault<E> {
    /// There is no answer, or a body does not go on: their words.
    #[error("{0}")]
    Lent(E),
    /// The registry, a token server or what stands before them answered with an error.
    #[error("{0}")]
    Refused(Refusal),
    /// The registry wants user name and password, and there are none.
    #[error("authorization failed: no basic auth credentials")]
    CredentialsMissing,
    /// The credentials are wrong, as far as one can tell.
    #[error("authentication required - incorrect username or password")]
    CredentialsWrong,
    /// Each answer asks for another token.
    #[error("authorization failed: the registry does not stop asking for another token")]
    EndlessChallenges,
    /// A token was granted and then refused. Docker Hub says so of repositories that do not
    /// exist, hence the words.
    #[error(
        "pull access denied for {repository}, repository does not exist or may require 'docker login'"
    )]
    PullDenied {
        /// As people write it.
        repository: String,
    },
    /// The same of a push.
    #[error(
        "push access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed"
    )]
    PushDenied,
    /// The token server is reached by plain HTTP, the registry by https.
    #[error(
        "refused to send credentials over plain HTTP to the token server {server}, as the registry asked for them over https"
    )]
    PlainTokenServer {
        /// Its address.
        server: String,
    },
    /// The token server's address takes no query.
    #[error("the token server's address {server} cannot be used")]
    TokenServerAddress {
        /// That address.
        server: String,
    },
    /// The token server's answer has no token.
    #[error("the token server {server} answered without a usable token")]
    NoToken {
        /// Its address.
        server: String,
    },
    /// The registry has no such tag or digest.
    #[error("{reference}: not found")]
    ReferenceNotFound {
        /// What was asked for.
        reference: String,
    },
    /// Mirrors do not have it, and the registry cannot be asked.
    #[error("{reference}: not found at {mirrors}, and {registry} cannot be asked: {reason}")]
    ReferenceNotAtMirrors {
        /// What was asked for.
        reference: String,
        /// Whom.
        mirrors: String,
        /// Host and port.
        registry: String,
        /// What became of asking it.
        reason: String,
    },
    /// The registry has no such repository.
    #[error("repository {repository} not found")]
    RepositoryNotFound {
        /// As people write it.
        repository: String,
    },
    /// Mirrors do not have it, and the registry cannot be asked.
    #[error(
        "repository {repository} not found at {mirrors}, and {registry} cannot be asked: {reason}"
    )]
    RepositoryNotAtMirrors {
        /// As people write it.
        repository: String,
        /// Who was asked.
        mirrors: String,
        /// Host and port.
        registry: String,
        /// What became of asking it.
        reason: String,
    },
    /// The repository has no such blob.
    #[error("content {digest} of {repository} not found: not found")]
    BlobNotFound {
        /// Of the blob.
        digest: Digest,
        /// As people write it.
        repository: String,
    },
    /// Something answered in place of a registry. People who are behind a captive portal
    /// need to see which.
    #[error(
        "{from} answered with a web page instead of a registry's answer; is there a portal or a proxy that wants a login?"
    )]
    WebPage {
        /// The address that did.
        from: String,
    },
    /// A document of more bytes than are read.
    #[error("the registry sent a document of more than {limit} bytes, which is the limit")]
    DocumentTooLarge {
        /// The bytes.
        limit: usize,
    },
    /// A body that drips.
    #[error("{from} takes more than {seconds} seconds for a document, which is the limit")]
    TooSlow {
        /// The address.
        from: String,
        /// The time it had.
        seconds: u64,
    },
    /// An answer that was shorter than it should be: it was cut somewhere.
    #[error("the answer ended after {received} of {size} bytes")]
    Cut {
        /// Bytes that came.
        received: usize,
        /// Bytes that should have.
        size: u64,
    },
    /// Bytes of another digest than was asked for, or one that the registry names for what it was sent.
    #[error(
        "content does not match its digest: expected {expected}, received {actual}; the registry or a proxy served other bytes, try again or report it there"
    )]
    DigestMismatch {
        /// Asked for, or sent.
        expected: Digest,
        /// Received, or named.
        actual: Digest,
    },
    /// The right bytes under a descriptor with a wrong size: the descriptor lies.
    #[error("failed size validation: {actual} != {expected} for {digest}")]
    SizeMismatch {
        /// Of the bytes.
        digest: Digest,
        /// Bytes by the descriptor.
        expected: u64,
        /// Bytes there are.
        actual: usize,
    },
    /// A foreign layer is where nobody can get it.
    #[error("layer {digest} names an address that is neither http nor https")]
    ForeignAddress {
        /// Of the layer.
        digest: Digest,
    },
    /// The host of a reference makes no address.
    #[error("{authority} is not the address of a registry")]
    RegistryAddress {
        /// That host.
        authority: String,
    },
    /// A redirect that is not followed.
    #[error("{from} redirects {why}")]
    Redirect {
        /// Who redirects, without the query.
        from: String,
        /// Why it is not followed.
        why: RedirectFault,
    },
    /// An answer says that the request goes on at an address nobody can use.
    #[error("{from} goes on at an address that cannot be used")]
    UnusableLocation {
        /// Who says so.
        from: String,
    },
    /// A list of tags that is none, or has no end.
    #[error("the registry's answer {0}")]
    TagList(String),
    /// A media type that no header can carry.
    #[error("manifest {digest} has a media type that no header can carry")]
    ManifestMediaType {
        /// Of the manifest.
        digest: Digest,
    },
    /// A manifest of more bytes than the registry takes.
    #[error("manifest {digest} of {size} bytes is too large for the registry: {reason}")]
    ManifestTooLarge {
        /// Of the manifest.
        digest: Digest,
        /// Its bytes.
        size: usize,
        /// The registry's words.
        reason: String,
    },
    /// A media type that the registry does not take, or documents it reads otherwise.
    #[error(
        "the registry refuses manifest {digest} as {media_type}: {reason}; it is not converted, since that would change its digest"
    )]
    ManifestNotTaken {
        /// Of the manifest.
        digest: Digest,
        /// What it was sent as.
        media_type: String,
        /// The registry's words.
        reason: String,
    },
    /// The registry has a reason of its own, which another attempt does not change.
    #[error("the registry refuses manifest {digest}: {reason}")]
    ManifestRefused {
        /// Of the manifest.
        digest: Digest,
        /// The registry's words.
        reason: String,
    },
    /// A list of referrers that would be too long to be read again.
    #[error("the list of what is about {subject}, tag {tag}, is full: {reason}")]
    ReferrersFull {
        /// What the referrers are about.
        subject: Digest,
        /// The tag of the list.
        tag: String,
        /// The bound.
        reason: String,
    },
    /// A list of referrers that cannot be written down.
    #[error("{0}")]
    ReferrersUnwritable(String),
    /// The registry opened an upload and does not say where.
    #[error("the registry opened an upload without saying where")]
    UploadWithoutAddress,
    /// The address of an upload takes no digest.
    #[error("the registry's upload address cannot take a digest")]
    UploadAddress,
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectFault {
    /// It leads to no web address.
    #[error("to an address that cannot be used")]
    Unusable,
    /// It leads out of TLS.
    #[error("from https to plain http, {}, which is refused", address::shown(to))]
    Downgrade {
        /// Where it leads.
        to: Uri,
    },
    /// It leads back.
    #[error("in a circle")]
    Circle,
    /// It is one too many.
    #[error("too often")]
    TooOften,
}

impl<E: LentError> Fault<E> {
    /// Whether a text about what was being done may stand before its sentence.
    pub(crate) fn takes_context(&self) -> bool {
        match self {
            Self::Lent(error) => error.takes_context(),
            Self::DigestMismatch { .. } => false,
            _ => true,
        }
    }
}
