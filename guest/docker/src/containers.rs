//! The container endpoints: containers are created, filled and committed, never run. One file each, with
//! their wire shapes.

mod commit;
mod config;
mod create;
mod files;
mod filled;
mod filters;
mod host;
mod inspect;
mod list;
mod networks;
mod process;
mod remove;

use crate::failure::Failure;

pub(crate) use commit::commit;
pub(crate) use create::create;
pub(crate) use files::{changes, copy_in, copy_out, export, stat};
pub(crate) use inspect::inspect;
pub(crate) use list::list;
pub(crate) use process::{logs, process};
pub(crate) use remove::{prune, remove};

/// The word that stands where containers have a state.
const CREATED: &str = "created";

/// A request about no container at all: 400.
pub(crate) fn unnamed() -> Failure {
    Failure::invalid("invalid name or ID supplied: \"\"")
}
