//! The records of the package `strata:image`, as `wit/` documents them.

pub use crate::bindings::{
    exports::strata::image::{
        archives::Loaded,
        authoring::{CommitOptions, ImportOptions},
        containers::{ChangeKind, ChangedPath, Container, CreateOptions, FileKind, PathStat},
        curation::{Pruned, Removal},
        integrity::{Affected, Fault, FaultKind, Mended, Outcome as MendedOutcome, Report},
        transfer::{PullOptions, PushOptions},
    },
    strata::image::{
        progress::{
            BlobProgress, Completed, ContentProgress, Event, Phase, Resolved, Retry, Substituted,
        },
        types::{
            Descriptor, DigestMismatch, Error, Filters, HistoryEntry, ImageDetails, ImageSummary,
            Platform, RateLimit, RegistryAuth,
        },
    },
};
