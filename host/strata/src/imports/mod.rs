//! The interfaces this host provides to the component.

mod append;
mod call;
mod codec;
mod content;
mod facts;
#[cfg(test)]
mod fault;
mod ingest;
mod leases;
mod names;
mod read;
mod settings;
mod steps;

pub(crate) use codec::PATIENCE;
#[cfg(test)]
pub(crate) use fault::Faults;
pub(crate) use settings::{configuration, machine_memory};
#[allow(
    unreachable_pub,
    reason = "the generated bindings re-export it, so it must be pub"
)]
pub use {
    ingest::{Ingest, Stage},
    leases::Lease,
};
