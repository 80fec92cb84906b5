//! What the whole-system suites are made of: images out of real Debian packages, the real `docker-registry`,
//! a registry that commits faults, and handles on the `strata` server and the real clients.
//!
//! Nothing here knows strata's crates: the built binary (`STRATA_BIN`) is driven as a process, as a user would.

pub mod authority;
pub mod client;
pub mod debian;
pub mod dice;
pub mod fault;
pub mod house;
pub mod http;
pub mod image;
pub mod layer;
pub mod layout;
pub mod memory;
pub mod poll;
pub mod push;
pub mod raw;
pub mod registry;
pub mod server;
pub mod store;
pub mod workspace;
