//! The interfaces this host provides to the component.

mod append;
mod codec;
mod read;
mod settings;
mod steps;
mod store;

pub(crate) use settings::{configuration, machine_memory};
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub use store::{Ingest, Lease, Stage};
