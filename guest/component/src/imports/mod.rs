//! What the host provides, as the engine's traits.

mod body;
mod clock;
mod store;
mod transport;

pub(crate) use body::WasiBody;
pub(crate) use clock::HostClock;
pub(crate) use store::HostStore;
pub(crate) use transport::{HostTransport, header_map};
