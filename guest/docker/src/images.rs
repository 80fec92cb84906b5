//! The image endpoints, one file each, with their wire shapes.

use strata_oci::Platform;

use crate::failure::Failure;

mod config;
mod filters;
mod history;
mod inspect;
mod list;
mod manifest;
mod pull;
mod remove;
mod tag;

pub(crate) use history::history;
pub(crate) use inspect::inspect;
pub(crate) use list::list;
pub(crate) use pull::{Pull, pull};
pub(crate) use remove::{prune, remove};
pub(crate) use tag::tag;

/// Reads a platform in its JSON spelling; empty is none.
///
/// # Errors
/// 400, as the contract words it.
fn platform_json(json: &str) -> Result<Option<Platform>, Failure> {
    match json {
        "" => Ok(None),
        json => parse_platform_json(json).map(Some),
    }
}

/// Reads a platform in its JSON spelling.
///
/// # Errors
/// 400, as the contract words it.
fn parse_platform_json(json: &str) -> Result<Platform, Failure> {
    Platform::parse_json(json).map_err(|error| Failure::invalid(error.to_string()))
}
