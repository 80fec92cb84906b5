//! The client side of the distribution protocol, as far as pull and push need it.
//!
//! A [`Repository`] asks one repository of one registry: its mirrors first, the
//! registry itself last; what is written goes to the registry only. Endpoints,
//! authentication, redirects and the wording of failures live here; what a
//! manifest means, and where bytes go, does not.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md>

pub(crate) mod address;
mod blob;
mod challenge;
mod credentials;
mod delivery;
mod document;
mod endpoint;
mod failure;
mod publish;
mod referrers;
mod repository;
mod retry;
mod tags;
mod token;
mod upload;
mod verdict;
mod wire;

pub(crate) use blob::Opened;
pub(crate) use document::Resolution;
pub(crate) use failure::{Again, Failure};
pub(crate) use publish::{Published, Put};
pub(crate) use referrers::Relisted;
pub(crate) use repository::Repository;
pub(crate) use retry::{Attempts, retrying};
pub(crate) use upload::{Chunk, Session, Started};
pub(crate) use verdict::error_body;
pub(crate) use wire::MAX_REDIRECTS;
