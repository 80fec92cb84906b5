//! Progress and the verdict that follows it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::oneshot;
use wasmtime::{
    AsContextMut, StoreContextMut,
    component::{
        FutureConsumer, FutureReader, Lift, Source, StreamConsumer, StreamReader, StreamResult,
    },
};

use crate::{instance::State, types};

/// Gives every event of a stream to a closure, in order.
///
/// # Errors
/// If wasmtime refuses the stream, which would be a fault of strata.
pub(super) fn listen(
    store: impl AsContextMut<Data = State>,
    events: StreamReader<types::Event>,
    progress: impl FnMut(types::Event) + Send + Unpin + 'static,
) -> wasmtime::Result<()> {
    events.pipe(store, Listener { progress })
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

/// What an operation will have said in the end.
pub(super) struct Awaited<T>(oneshot::Receiver<Result<T, types::Error>>);

impl<T> Awaited<T> {
    /// Waits for it.
    ///
    /// # Errors
    /// The verdict's, or `error.cancelled` if the instance ended without one.
    pub(super) async fn verdict(self) -> Result<T, types::Error> {
        self.0.await.unwrap_or(Err(types::Error::Cancelled))
    }
}

/// Takes the verdict of an operation when it comes.
///
/// # Errors
/// If wasmtime refuses the future, which would be a fault of strata.
pub(super) fn expect<T: Lift + Send + Sync + 'static>(
    store: impl AsContextMut<Data = State>,
    verdict: FutureReader<Result<T, types::Error>>,
) -> wasmtime::Result<Awaited<T>> {
    let (done, finished) = oneshot::channel();
    verdict.pipe(store, Verdict(Some(done)))?;
    Ok(Awaited(finished))
}

/// Takes the verdict that follows the stream.
struct Verdict<T>(Option<oneshot::Sender<Result<T, types::Error>>>);

impl<T: Lift + Send + Sync + 'static> FutureConsumer<State> for Verdict<T> {
    type Item = Result<T, types::Error>;

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
