//! The typed operations, for embedders: one instance per call.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;
use wasmtime::{
    StoreContextMut,
    component::{FutureConsumer, Source, StreamConsumer, StreamResult},
};

use crate::{Engine, Result, instance::State, types};

/// Calls one export on a fresh instance.
macro_rules! call {
    ($engine:expr, $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let mut store = $engine.instance_store();
        let instance = $engine.typed.instantiate_async(&mut store).await?;
        let outcome = store
            .run_concurrent(async |accessor| {
                instance.$interface().$function(accessor, $($argument),*).await
            })
            .await??;
        Ok(outcome?)
    }};
}

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

    /// `transfer.pull`: from a registry into the store. `progress` gets every
    /// event in order. Dropping the future cancels and leaves resumable state.
    ///
    /// # Errors
    /// As `wit/transfer.wit` says.
    pub async fn pull(
        &self,
        options: types::PullOptions,
        progress: impl FnMut(types::Event) + Send + Unpin + 'static,
    ) -> Result<Vec<types::Completed>> {
        let mut store = self.instance_store();
        let instance = self.typed.instantiate_async(&mut store).await?;
        let outcome = store
            .run_concurrent(async |accessor| {
                let (events, verdict) = instance
                    .strata_image_transfer()
                    .call_pull(accessor, options)
                    .await?;
                let (done, finished) = oneshot::channel();
                accessor.with(|mut access| {
                    events.pipe(&mut access, Listener { progress })?;
                    verdict.pipe(&mut access, Verdict(Some(done)))
                })?;
                wasmtime::error::Ok(finished.await.unwrap_or(Err(types::Error::Cancelled)))
            })
            .await??;
        Ok(outcome?)
    }
}

/// Reads the progress stream.
struct Listener<F> {
    progress: F,
}

impl<D, F: FnMut(types::Event) + Send + Unpin + 'static> StreamConsumer<D> for Listener<F> {
    type Item = types::Event;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut store: StoreContextMut<D>,
        mut source: Source<'_, types::Event>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut events = Vec::with_capacity(source.remaining(&mut store));
        source.read(&mut store, &mut events)?;
        events.into_iter().for_each(&mut self.progress);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Takes the verdict that follows the stream.
struct Verdict(Option<oneshot::Sender<Result<Vec<types::Completed>, types::Error>>>);

impl FutureConsumer<State> for Verdict {
    type Item = Result<Vec<types::Completed>, types::Error>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        mut store: StoreContextMut<State>,
        mut source: Source<'_, Self::Item>,
        _finish: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut verdict = None;
        source.read(&mut store, &mut verdict)?;
        if let (Some(done), Some(verdict)) = (self.0.take(), verdict) {
            // The caller may have stopped waiting.
            let _ = done.send(verdict);
        }
        Poll::Ready(Ok(()))
    }
}
