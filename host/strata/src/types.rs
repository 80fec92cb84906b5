//! The records of the package `strata:image`, as `wit/` documents them. Those with secrets are
//! written by hand, as a generated `Debug` would print them.

mod secret;
mod transfer;

pub use crate::bindings::{
    exports::strata::image::{
        archives::Loaded,
        authoring::{CommitOptions, ImportOptions},
        containers::{ChangeKind, ChangedPath, Container, CreateOptions, FileKind, PathStat},
        curation::{Pruned, Removal},
        integrity::{Affected, Fault, FaultKind, Mended, Outcome as MendedOutcome, Report},
    },
    strata::image::{
        progress::{
            BlobProgress, Completed, ContentProgress, Event, Phase, Resolved, Retry, Substituted,
        },
        types::{
            Descriptor, DigestMismatch, Error, Filters, HistoryEntry, ImageDetails, ImageSummary,
            Platform, RateLimit,
        },
    },
};
pub use secret::{RegistryAuth, Secret};
pub use transfer::{PullOptions, PushOptions};
