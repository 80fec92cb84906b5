//! The state of one component instance.

use std::{sync::Arc, time::Duration};

use strata_codec::{DecoderMemory, Holder};
use strata_store::Backend;
use wasmtime::component::{HasData, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView, p2::pipe::MemoryOutputPipe};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    bindings::strata::image::settings::Configuration,
    bounds::{Admission, Budget, Memory, Meter, Place, Ticker},
    outgoing::Outgoing,
};

/// Bytes kept of what a component says on its stderr, which is why it panics.
const SAID: usize = 16 << 10;

/// What every instance of one engine shares.
pub(crate) struct Shared {
    /// The store that the component imports.
    pub(crate) store: Arc<dyn Backend>,
    /// Answers `settings.get`.
    pub(crate) configuration: Configuration,
    /// The pooled HTTP client.
    pub(crate) outgoing: Outgoing,
    /// Linear memory of one instance, and of all.
    pub(crate) budget: Arc<Budget>,
    /// Memory of all decoders.
    pub(crate) decoders: DecoderMemory,
    /// How long one waits for memory that others hold.
    pub(crate) patience: Duration,
    /// Who may run in an instance of its own.
    pub(crate) admission: Arc<Admission>,
    /// Makes long computations yield.
    pub(crate) ticker: Arc<Ticker>,
    /// What tests do to calls of the component.
    #[cfg(test)]
    pub(crate) faults: crate::imports::Faults,
}

/// The data of a wasmtime store.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: ResourceTable,
    pub(crate) memory: Memory,
    /// Whose its decoders are.
    pub(crate) decoders: Holder,
    said: MemoryOutputPipe,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    pub(crate) outgoing: Outgoing,
}

impl State {
    pub(crate) fn new(shared: &Arc<Shared>, memory: Memory) -> Self {
        let said = MemoryOutputPipe::new(SAID);
        Self {
            shared: Arc::clone(shared),
            table: ResourceTable::new(),
            memory,
            decoders: Holder::default(),
            // No files, no sockets, no environment: stderr alone, for panics, and that for the log.
            wasi: WasiCtxBuilder::new().stderr(said.clone()).build(),
            said,
            http: WasiHttpCtx::new(),
            outgoing: shared.outgoing.clone(),
        }
    }
}

impl Drop for State {
    /// A panic's own words go to the log, in one line.
    fn drop(&mut self) {
        let said = self.said.contents();
        if !said.is_empty() {
            let said = String::from_utf8_lossy(&said);
            let said: Vec<&str> = said.lines().map(str::trim).collect();
            tracing::error!("the component said: {}", said.join(" | ").escape_debug());
        }
    }
}

/// What runs an operation alone in its instance.
pub(crate) struct Alone {
    pub(crate) store: wasmtime::Store<State>,
    pub(crate) meter: Arc<Meter>,
    /// Given back when it is over.
    pub(crate) place: Place,
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
pub(crate) struct Imports<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) table: &'a mut ResourceTable,
    pub(crate) decoders: &'a Holder,
}

impl Imports<'_> {
    /// Where a call of the component begins: in tests, where faults strike.
    pub(crate) fn entered(self) -> wasmtime::Result<Self> {
        #[cfg(test)]
        self.shared.faults.strike()?;
        Ok(self)
    }
}

/// Marks [`Imports`] for the linker.
pub(crate) struct HasImports;

impl HasData for HasImports {
    type Data<'a> = Imports<'a>;
}

/// Borrows the view.
pub(crate) fn imports(state: &mut State) -> Imports<'_> {
    Imports {
        shared: &state.shared,
        table: &mut state.table,
        decoders: &state.decoders,
    }
}
