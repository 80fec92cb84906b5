//! The typed operations, for embedders: one instance per call.
//!
//! They have three shapes. Some answer once. Some report progress to a closure and end with a
//! verdict. Some take bytes from a reader or give them to a writer, as fast as both sides can and
//! no faster. Dropping the future of any of them cancels it.

mod archives;
mod authoring;
mod bytes;
mod containers;
mod events;
mod integrity;
mod transfer;

use crate::{Engine, Result, types};

/// Calls one export on a fresh instance.
macro_rules! call {
    ($engine:expr, $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let mut alone = $engine.alone().await?;
        let meter = std::sync::Arc::clone(&alone.meter);
        let work = async {
            let instance = $engine.exports.instantiate_async(&mut alone.store).await?;
            alone
                .store
                .run_concurrent(async |accessor| {
                    instance.$interface().$function(accessor, $($argument),*).await
                })
                .await?
        };
        let outcome = $engine.measured(&meter, work).await?;
        Ok(outcome?)
    }};
}
use call;

/// The future of an export with progress: calls it on an instance in `alone`, gives its events to
/// `progress`, and ends with its verdict.
macro_rules! follow {
    ($engine:expr, $alone:expr, $progress:expr, $interface:ident . $function:ident ( $($argument:expr),* )) => {
        async {
            let mut alone = $alone;
            let meter = std::sync::Arc::clone(&alone.meter);
            let work = async {
                let instance = $engine.exports.instantiate_async(&mut alone.store).await?;
                alone
                    .store
                    .run_concurrent(async |accessor| {
                        let (events, verdict) = instance
                            .$interface()
                            .$function(accessor, $($argument),*)
                            .await?;
                        let verdict = accessor.with(|mut access| {
                            events::listen(&mut access, events, $progress)?;
                            events::expect(&mut access, verdict)
                        })?;
                        wasmtime::error::Ok(verdict.verdict().await)
                    })
                    .await?
            };
            let outcome = $engine.measured(&meter, work).await?;
            $crate::Result::Ok(outcome?)
        }
    };
}
use follow;

/// Calls an export that gives bytes on a fresh instance, and writes them to `writer`, which comes
/// back when all of it is there.
macro_rules! write_to {
    ($engine:expr, $writer:expr, $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let mut alone = $engine.alone().await?;
        let meter = std::sync::Arc::clone(&alone.meter);
        let work = async {
            let instance = $engine.exports.instantiate_async(&mut alone.store).await?;
            alone
                .store
                .run_concurrent(async |accessor| {
                let answer = instance
                    .$interface()
                    .$function(accessor, $($argument),*)
                    .await?;
                let (stream, verdict) = match answer {
                    Ok(streams) => streams,
                    Err(error) => return wasmtime::error::Ok(Err(error.into())),
                };
                let (written, verdict) = accessor.with(|mut access| {
                    let written = bytes::pour(&mut access, stream, $writer)?;
                    wasmtime::error::Ok((written, events::expect(&mut access, verdict)?))
                })?;
                Ok(bytes::finish(written, verdict).await)
                })
                .await?
        };
        $engine.measured(&meter, work).await?
    }};
}
use write_to;

impl Engine {
    /// `catalog.list`: images, newest first.
    ///
    /// # Errors
    /// As `wit/catalog.wit` says.
    pub async fn list(
        &self,
        filters: types::Filters,
        shared_size: bool,
    ) -> Result<Vec<types::ImageSummary>> {
        call!(self, strata_image_catalog.call_list(filters, shared_size))
    }

    /// `catalog.inspect`: one image in full.
    ///
    /// # Errors
    /// As `wit/catalog.wit` says.
    pub async fn inspect(
        &self,
        name: &str,
        platform: Option<types::Platform>,
    ) -> Result<types::ImageDetails> {
        call!(
            self,
            strata_image_catalog.call_inspect(name.to_owned(), platform)
        )
    }

    /// `catalog.history`: newest first.
    ///
    /// # Errors
    /// As `wit/catalog.wit` says.
    pub async fn history(
        &self,
        name: &str,
        platform: Option<types::Platform>,
    ) -> Result<Vec<types::HistoryEntry>> {
        call!(
            self,
            strata_image_catalog.call_history(name.to_owned(), platform)
        )
    }

    /// `curation.tag`: points `target` at `source`.
    ///
    /// # Errors
    /// As `wit/curation.wit` says.
    pub async fn tag(&self, source: &str, target: &str) -> Result<()> {
        call!(
            self,
            strata_image_curation.call_tag(source.to_owned(), target.to_owned())
        )
    }

    /// `curation.remove`: a name, and the image with its last one.
    ///
    /// # Errors
    /// As `wit/curation.wit` says.
    pub async fn remove(
        &self,
        name: &str,
        force: bool,
        platforms: Vec<types::Platform>,
    ) -> Result<Vec<types::Removal>> {
        call!(
            self,
            strata_image_curation.call_remove(name.to_owned(), force, platforms)
        )
    }

    /// `curation.prune`: what nothing needs.
    ///
    /// # Errors
    /// As `wit/curation.wit` says.
    pub async fn prune(&self, filters: types::Filters) -> Result<types::Pruned> {
        call!(self, strata_image_curation.call_prune(filters))
    }
}
