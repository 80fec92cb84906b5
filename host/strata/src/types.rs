//! The records of the package `strata:image`, as `wit/` documents them.

pub use crate::bindings::{
    exports::strata::image::{
        curation::{Pruned, Removal},
        transfer::PullOptions,
    },
    strata::image::{
        progress::{BlobProgress, Completed, Event, Phase, Resolved, Retry},
        types::{
            Descriptor, DigestMismatch, Error, Filters, HistoryEntry, ImageDetails, ImageSummary,
            Platform, RateLimit, RegistryAuth,
        },
    },
};
