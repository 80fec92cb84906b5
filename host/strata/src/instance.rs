//! The state of one component instance.

use std::sync::Arc;

use wasmtime::{
    StoreLimits, StoreLimitsBuilder,
    component::{HasData, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{bindings::strata::image::settings::Configuration, outgoing::Outgoing};

/// What every instance of one engine shares.
pub(crate) struct Shared {
    /// The content store.
    pub(crate) store: strata_store::Store,
    /// Answers `settings.get`.
    pub(crate) configuration: Configuration,
    /// The pooled HTTP client.
    pub(crate) outgoing: Outgoing,
    /// Linear memory of one instance in bytes.
    pub(crate) memory: usize,
}

/// The data of a wasmtime store.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: ResourceTable,
    pub(crate) limits: StoreLimits,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outgoing: Outgoing,
}

impl State {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            table: ResourceTable::new(),
            limits: StoreLimitsBuilder::new().memory_size(shared.memory).build(),
            // No files, no sockets, no environment: stderr alone, for panics.
            wasi: WasiCtxBuilder::new().inherit_stderr().build(),
            http: WasiHttpCtx::new(),
            outgoing: shared.outgoing.clone(),
        }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outgoing,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// The view the imports of `strata:image` are implemented on.
pub(crate) struct Lent<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) table: &'a mut ResourceTable,
}

/// Marks [`Lent`] for the linker.
pub(crate) struct HasLent;

impl HasData for HasLent {
    type Data<'a> = Lent<'a>;
}

/// Borrows the view.
pub(crate) fn lent(state: &mut State) -> Lent<'_> {
    Lent {
        shared: &state.shared,
        table: &mut state.table,
    }
}
