//! The native content store of strata: content, names and leases on a local disk.
//!
//! On disk a store *is* an OCI image layout (`oci-layout`, `index.json`, `blobs/<alg>/<hex>`), so
//! skopeo, crane or umoci read it while strata serves. Everything a layout has no place for lives
//! beside it in `.strata/`: partial downloads, derived data, and SQLite databases with names,
//! labels, layer facts, damage and leases. SQLite is the truth for names; `index.json` is a projection of name space
//! [`IMAGES`] written shortly after each change.
//!
//! What it promises:
//!
//! - A blob is visible only after size and digest matched and file and directory were fsynced.
//! - Any number of processes may use one store. Whatever a killed process held is free again.
//! - A failure, a full disk included, leaves a valid layout and keeps partial downloads for resume.
//! - Memory does not depend on blob sizes: an ingest or a stage buffers at most about 1 MiB.
//!
//! What it deliberately does not know: manifests, tags, platforms, or which blobs belong together.
//! Its callers decide what is garbage; [`backend::Content::delete`] only makes that decision safe.
//!
//! ```no_run
//! # async fn example() -> Result<(), strata_store::Error> {
//! use strata_store::backend::{Content as _, Leases as _};
//! use strata_store::{Digest, IngestState, Options, Store};
//!
//! let store = Store::open("/var/lib/strata".as_ref(), Options::default())?;
//! let lease = store.acquire_lease().await?;
//! let digest = Digest::sha256(b"hello");
//! if let IngestState::Open(mut ingest) = store.open_ingest(&digest, 5, &lease).await? {
//!     ingest.write("hello".into()).await?;
//!     ingest.commit().await?;
//! }
//! assert_eq!(store.stat(&digest, None).await?, Some(5));
//! # Ok(())
//! # }
//! ```
//!
//! Layout specification:
//! <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

mod activity;
mod aside;
pub mod backend;
mod content;
mod damage;
mod database;
mod derived;
mod directory;
mod error;
mod facts;
mod holder;
mod index;
mod ingest;
mod layout;
mod lease;
mod log;
mod name;
mod open;
mod options;
mod owner;
mod partial;
mod private;
mod projection;
mod quarantine;
mod reached;
mod rebuild;
mod regular;
mod reserve;
mod source;
mod store;
mod sync;
mod trash;
mod verify;

pub use backend::{Backend, Ingest, IngestState, Lease, Stage};
pub use error::Error;
pub use facts::LayerFacts;
pub use name::{Change, Expectation, IMAGES, Name, Target};
pub use options::Options;
pub use store::Store;
pub use strata_oci::{Digest, digest::Algorithm};
pub use verify::Verdict;
