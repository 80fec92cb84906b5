//! The nouns of container images as pure values: references, digests, platforms, manifests and configs.
//!
//! Everything here parses, compares or prints. Nothing does I/O, nothing is async, nothing allocates more
//! than a small multiple of its (bounded) input, and no input can make it panic: the bytes come from
//! registries and HTTP clients. Documents are views only. The bytes a digest covers stay with the caller,
//! because a document written again is another document.
//!
//! ```
//! use strata_oci::Reference;
//!
//! let reference = Reference::parse("alpine")?.with_default_tag();
//! assert_eq!(reference.to_string(), "docker.io/library/alpine:latest");
//! assert_eq!(reference.familiar(), "alpine:latest");
//! # Ok::<(), strata_oci::reference::ReferenceError>(())
//! ```

pub mod archive;
pub mod config;
pub mod digest;
pub mod document;
pub mod filter;
pub mod glob;
pub mod instruction;
pub mod json;
pub mod labels;
pub mod layer;
pub mod media_type;
pub mod platform;
pub mod reference;
pub mod timestamp;

mod nullable;
mod quote;

pub use config::ImageConfig;
pub use digest::Digest;
pub use document::{Descriptor, Document, Index, Manifest};
pub use labels::Labels;
pub use platform::Platform;
pub use quote::printable;
pub use reference::Reference;
