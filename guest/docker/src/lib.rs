//! The Docker Engine API's image half, versions 1.12 to 1.54, over the engine; of containers, what images
//! are made from.
//!
//! A [`Call`] is a request on its way: made of a head, it says how its body is taken, and turns both into
//! engine calls and one response. What is no matter of Docker is in `strata_http`.
//!
//! The contract is Docker's API reference, <https://docs.docker.com/reference/api/engine/version/v1.51/>, and
//! how dockerd answers. Where two kinds of dockerd differ, this is the one with the containerd image store.

mod auth;
mod call;
mod containers;
mod facts;
mod failure;
mod images;
mod line;
mod query;
mod reply;
mod route;
mod system;
mod version;

pub use call::Call;
pub use facts::HostFacts;
pub use route::shapes;
pub use version::{MAX_API_VERSION, MIN_API_VERSION};

use call::{Answer, Asked};

#[cfg(test)]
mod tests;
