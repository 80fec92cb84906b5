//! Image operations over what a [`Host`] provides: a [`Store`], a [`Transport`] and a [`Clock`].
//!
//! Knows no WIT and no HTTP face, and does no I/O of its own, so everything here
//! runs natively in tests and in wasm alike. Futures are not `Send`: a component
//! instance has one thread.
#![allow(
    async_fn_in_trait,
    reason = "implementations are single-threaded; callers never need Send futures"
)]

use std::cell::RefCell;

mod archive;
mod assembly;
mod catalog;
mod check;
mod container;
#[cfg(any(test, feature = "memory"))]
pub mod contract;
mod curation;
mod cursor;
mod diff_ids;
mod error;
mod fetch;
mod garbage;
mod graph;
mod host;
mod import;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
mod model;
mod naming;
mod pace;
mod progress;
mod pull;
mod push;
mod registry;
mod rootfs;
mod settings;
mod shown;
mod sink;
mod store;

pub use check::{Affected, CheckReport, Fault, FaultKind, Mended, Outcome};
pub use container::{
    ChangedPath, CommitOptions, ContainerDetails, ContainerFilters, ContainerListOptions,
    ContainerSummary, CopyInOptions, CreateOptions, Created, FileKind, PathStat,
};
pub use error::{Error, Result};
pub use host::Host;
pub(crate) use host::{IngestOf, LeaseOf};
pub use import::{ImportOptions, ImportSource};
pub use model::*;
pub use progress::{
    BlobProgress, Completed, ContentProgress, Event, Phase, Progress, Resolved, Retry, Silent,
    Substituted,
};
pub use rootfs::ChangeKind;
pub use settings::Settings;
pub use shown::Shown;
pub use sink::ArchiveSink;
pub use store::{
    Change, Expectation, Ingest, IngestState, LayerFacts, Lease, Name, Stage, Store, Target,
    Verdict,
};
pub use strata_registry::{
    Body, Clock, Mirror, Reach, RegistryAuth, Request, RequestBody, Response, Secret, Transport,
    Zone,
};

/// The engine: every operation is a method. One per component instance.
pub struct Engine<H: Host> {
    pub(crate) store: H::Store,
    pub(crate) transport: H::Transport,
    pub(crate) clock: H::Clock,
    pub(crate) settings: Settings,
    pub(crate) catalog: catalog::Catalog,
    pub(crate) roots: RefCell<rootfs::Roots>,
}

impl<S, T, C> Engine<(S, T, C)>
where
    S: Store,
    T: Transport<Body = S::Body, Error = Error>,
    C: Clock,
{
    /// An engine over what the host provides.
    pub fn new(store: S, transport: T, clock: C, settings: Settings) -> Self {
        Self {
            store,
            transport,
            clock,
            settings,
            catalog: catalog::Catalog::default(),
            roots: RefCell::default(),
        }
    }
}

impl<H: Host> Engine<H> {
    /// What the host decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Seconds and nanoseconds since 1970-01-01T00:00:00Z, as its clock has it.
    pub fn now(&self) -> (i64, u32) {
        self.clock.now()
    }
}
