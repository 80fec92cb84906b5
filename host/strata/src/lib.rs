//! strata: a container-image engine that is a WebAssembly component, hosted by
//! wasmtime.
//!
//! An [`Engine`] is the compiled component with the [`Capabilities`] it has:
//! a store, the registries it may talk to, limits. Its methods are the typed
//! operations of `wit/`; [`Engine::serve`] serves the Docker image API.
//!
//! ```no_run
//! # async fn example() -> Result<(), strata::Error> {
//! use strata::{Capabilities, Engine, types};
//!
//! let engine = Engine::new(
//!     None,
//!     Capabilities { store: "/var/lib/images".into(), ..Capabilities::default() },
//! )
//! .await?;
//! let options = types::PullOptions {
//!     reference: "docker.io/library/alpine:3".into(),
//!     ..types::PullOptions::default()
//! };
//! for image in engine.pull(options, |event| eprintln!("{event:?}")).await? {
//!     println!("{} is {}", image.reference, image.digest);
//! }
//! engine.close().await
//! # }
//! ```
//!
//! This crate knows no documents of images; of the guest's crates it uses `strata-oci` alone, for digests,
//! references and platforms. What an image is, only the component knows.

mod bindings;
mod bounds;
mod capabilities;
mod code;
mod engine;
mod error;
mod exports;
mod imports;
mod instance;
mod outgoing;
mod rounds;
mod serve;
pub mod types;

pub use capabilities::{Capabilities, Limits};
pub use engine::Engine;
pub use error::{Error, Result};
pub use serve::{Access, Bound, Listener, Tls, TlsFiles, bind};
