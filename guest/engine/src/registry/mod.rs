//! The client side of the distribution protocol, as far as a pull needs it.
//!
//! A [`Repository`] asks one repository of one registry: its mirrors first, the
//! registry itself last. Endpoints, authentication, redirects and the wording of
//! failures live here; what a manifest means, and where bytes go, does not.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

mod address;
mod blob;
mod challenge;
mod credentials;
mod document;
mod endpoint;
mod failure;
mod repository;
mod retry;
mod tags;
mod token;
mod verdict;
mod wire;

pub(crate) use blob::Opened;
pub(crate) use document::Resolution;
pub(crate) use failure::Failure;
pub(crate) use repository::Repository;
pub(crate) use retry::{Attempts, retrying};
