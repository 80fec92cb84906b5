//! What a host provides to an engine, under one name.

use crate::{Body, Clock, Error, Store, Transport};

/// The types of what a host provides. Any three that fit together are a host, as a tuple.
pub trait Host {
    /// Content that is read as it comes: of a request, an answer, or the store.
    type Body: Body<Error = Error>;
    /// Where content and names are.
    type Store: Store<Body = Self::Body>;
    /// What asks registries.
    type Transport: Transport<Body = Self::Body, Error = Error>;
    /// The time.
    type Clock: Clock;
}

impl<S, T, C> Host for (S, T, C)
where
    S: Store,
    T: Transport<Body = S::Body, Error = Error>,
    C: Clock,
{
    type Body = S::Body;
    type Store = S;
    type Transport = T;
    type Clock = C;
}

/// The lease of a host's store.
pub(crate) type LeaseOf<H> = <<H as Host>::Store as Store>::Lease;

/// The ingest of a host's store.
pub(crate) type IngestOf<H> = <<H as Host>::Store as Store>::Ingest;
