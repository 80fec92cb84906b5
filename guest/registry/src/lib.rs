//! The client side of the distribution protocol, over a [`Transport`] and a [`Clock`].
//!
//! A [`Repository`] asks one repository of one registry: its mirrors first, the
//! registry itself last; what is written goes to the registry only. Endpoints,
//! authentication, redirects and the wording of failures live here; what a
//! manifest means, and where bytes go, does not.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>
#![allow(
    async_fn_in_trait,
    reason = "implementations are single-threaded; callers never need Send futures"
)]

pub mod address;
mod blob;
mod challenge;
mod clock;
mod credentials;
mod delivery;
mod document;
mod download;
mod endpoint;
mod error;
mod fault;
mod publish;
mod redirect;
mod referrers;
mod refusal;
mod repository;
mod retry;
mod secret;
mod settings;
mod tags;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod token;
mod transport;
mod upload;
mod wire;

pub use blob::{Opened, Source};
pub use clock::Clock;
pub use document::Resolution;
pub use download::{Download, DownloadError};
pub use error::{Disposition, LentError, RegistryError};
pub use fault::{Fault, RedirectFault};
pub use publish::{Published, Put};
pub use redirect::MAX_REDIRECTS;
pub use referrers::{ReferrerList, Relisted};
pub use refusal::{Refusal, RefusalKind};
pub use repository::Repository;
pub use retry::{Attempts, Retry, retrying};
pub use secret::Secret;
pub use settings::{Mirror, RegistryAuth, RegistrySettings};
pub use transport::{Body, Reach, Request, RequestBody, Response, Transport, Zone};
pub use upload::{Chunk, Started, UploadSession};
