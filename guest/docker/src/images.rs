//! The image endpoints, one file each, with their wire shapes.

use strata_engine::Host;
use strata_http::Query;
use strata_oci::{Platform, Reference, reference::ReferenceError};

use crate::{Asked, failure::Failure};

mod config;
mod filters;
mod history;
mod import;
mod inspect;
mod list;
mod load;
mod manifest;
mod pull;
mod push;
mod remove;
mod save;
mod tag;

pub(crate) use filters::until;
pub(crate) use history::history;
pub(crate) use import::{has_archive, import, is_import};
pub(crate) use inspect::{ZERO_TIME, inspect};
pub(crate) use list::list;
#[cfg(test)]
pub(crate) use list::show;
pub(crate) use load::load;
pub(crate) use pull::pull;
pub(crate) use push::push;
pub(crate) use remove::{prune, remove};
pub(crate) use save::save;
pub(crate) use tag::tag;

/// Reads a platform in its JSON spelling; empty is none.
///
/// # Errors
/// 400, as dockerd words it.
fn platform_json(json: &str) -> Result<Option<Platform>, Failure> {
    match json {
        "" => Ok(None),
        json => parse_platform_json(json).map(Some),
    }
}

/// Reads a platform in its JSON spelling.
///
/// # Errors
/// 400, as dockerd words it.
fn parse_platform_json(json: &str) -> Result<Platform, Failure> {
    Platform::parse_json(json).map_err(|error| Failure::invalid(error.to_string()))
}

/// Reads the `platform` parameter in its short spelling, `os/architecture/variant`; empty is none.
///
/// # Errors
/// 400, as dockerd words it; also for more than one.
pub(crate) fn platform_specifier<H: Host>(
    asked: &Asked<'_, H>,
) -> Result<Option<Platform>, Failure> {
    let mut given = asked.query.all("platform").filter(|text| !text.is_empty());
    let Some(specifier) = given.next() else {
        return Ok(None);
    };
    if given.next().is_some() || specifier.contains(',') {
        return Err(Failure::invalid("multiple platforms is not supported"));
    }
    let platform = Platform::parse(specifier, &asked.engine.settings().platform);
    platform
        .map(Some)
        .map_err(|error| Failure::invalid(error.to_string()))
}

/// Reads the platforms of an archive; versions that know none ignore them.
///
/// # Errors
/// 400 for a bad one, or for several where the version knows one.
fn archive_platforms<H: Host>(asked: &Asked<'_, H>) -> Result<Vec<Platform>, Failure> {
    let version = asked.version;
    if !version.at_least(48) {
        return Ok(Vec::new());
    }
    let given = asked.query.all("platform").filter(|json| !json.is_empty());
    let given: Vec<&str> = given.collect();
    if given.len() > 1 && !version.at_least(52) {
        return Err(Failure::invalid(
            "multiple platform parameters are not supported in this API version; use API version 1.52 \
             or later",
        ));
    }
    given.into_iter().map(parse_platform_json).collect()
}

/// The name an image is to get: the parameters `repo` and `tag`, which is `latest` unless given.
///
/// # Errors
/// 400 for either, or if the name has a digest.
pub(crate) fn new_name(query: &Query) -> Result<Option<Reference>, Failure> {
    match query.text("repo") {
        "" => Ok(None),
        name => {
            let name = tagged(name, query.text("tag"))?;
            Ok(Some(name.with_default_tag()))
        }
    }
}

/// The name `name`, with `tag` in place of its own unless that is empty.
///
/// # Errors
/// 400 for either, or if the name has a digest, which would say what the tag is to be.
fn tagged(name: &str, tag: &str) -> Result<Reference, Failure> {
    let invalid = |error: ReferenceError| Failure::invalid(error.to_string());
    let reference = Reference::parse(name).map_err(invalid)?;
    if reference.digest().is_some() {
        return Err(Failure::invalid("cannot import digest reference"));
    }
    match tag {
        "" => Ok(reference),
        tag => reference.with_tag(tag).map_err(invalid),
    }
}
