//! The interfaces this host provides to the component.

mod append;
mod codec;
#[cfg(test)]
mod fault;
mod read;
mod settings;
mod steps;
mod store;

pub(crate) use codec::PATIENCE;
#[cfg(test)]
pub(crate) use fault::Faults;
pub(crate) use settings::{configuration, machine_memory};
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub use store::{Ingest, Lease, Stage};
