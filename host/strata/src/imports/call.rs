//! How the component asks the store: what calls of every interface have in common.

use std::sync::Arc;

use strata_store::{Backend, Digest};
use wasmtime::component::Accessor;

use crate::{instance::HasImports, types};

/// What a call ends with: the inner result is the component's, the outer one would trap it.
pub(super) type Outcome<R> = wasmtime::Result<Result<R, types::Error>>;

/// A digest the guest gave. The store checks it again before it names a file.
pub(super) fn digest(text: &str) -> Result<Digest, types::Error> {
    Digest::parse(text)
        .map_err(|error| types::Error::InvalidArgument(format!("digest {text:?}: {error}")))
}

pub(super) fn digests(texts: &[String]) -> Result<Vec<Digest>, types::Error> {
    texts.iter().map(|text| digest(text)).collect()
}

/// Where a call of the component begins: the store it imports.
pub(super) fn store<T: 'static>(
    accessor: &Accessor<T, HasImports>,
) -> wasmtime::Result<Arc<dyn Backend>> {
    accessor.with(|mut access| Ok(access.get().entered()?.shared.store.clone()))
}

/// Parses, then asks the store: the shape of almost every import.
macro_rules! ask {
    ($($outcome:tt)*) => {
        Ok(async { Ok::<_, crate::types::Error>({ $($outcome)* }) }.await)
    };
}

pub(super) use ask;
