//! The interfaces this host provides to the component.

mod append;
mod read;
mod settings;
mod store;

pub(crate) use settings::configuration;
pub use store::Ingest;
