//! The compiled component and what it may use.

use std::{ops::RangeInclusive, path::Path, sync::Arc, time::Duration};

use strata_store::{Options, Store};
use wasmtime::{
    InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, InstancePre, Linker},
};

use crate::{
    Capabilities, Error, Result,
    bindings::{self, EnginePre},
    bounds::{Admission, Budget, Memory, Meter, Metered, Ticker},
    code,
    imports::{PATIENCE, configuration, machine_memory},
    instance::{Alone, HasImports, Shared, State, imports},
    outgoing::Outgoing,
};

/// Instances alive at once, at most: the places of [`Budget`], and those that are always there.
const MAX_INSTANCES: u32 = 128;
/// What the memory of one instance may be set to: the least it starts with, and what 32 bits address.
const MEMORY: RangeInclusive<u64> = 4 << 20..=4 << 30;
/// Most memory of all instances where no setting says it. Half of the machine's, if that is less.
const TOTAL_MEMORY: u64 = 4 << 30;
/// Instances that small reads share: one more than there are processors, so that one is free while as many
/// compute as can, but between these.
const LEAST_SHARED: usize = 3;
const MOST_SHARED: usize = 8;

/// The engine: compiled once, instantiated per call or per group of requests.
/// Clones share it.
#[derive(Clone)]
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) exports: EnginePre<State>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) connections: usize,
    /// Instances that requests share, at most.
    pub(crate) shared_instances: usize,
    /// Processor time of one operation.
    pub(crate) compute: Duration,
    /// How long a client may neither send nor read.
    pub(crate) stall: Duration,
}

impl Engine {
    /// Opens the store and takes the component inside this build, or compiles the one in the file
    /// `component`, which takes seconds.
    ///
    /// # Errors
    /// [`Error::Store`] if the store cannot be opened, [`Error::NoComponent`] and
    /// [`Error::Component`] if there is no component, [`Error::Setting`] if a
    /// capability does not parse, [`Error::Host`] if it does not compile or fit.
    pub async fn new(component: Option<&Path>, capabilities: Capabilities) -> Result<Self> {
        // Each takes time: code is loaded while the store opens.
        let path = component.map(Path::to_path_buf);
        let limits = &capabilities.limits;
        if !MEMORY.contains(&limits.memory) {
            return Err(Error::Setting {
                setting: "memory-limit",
                reason: format!(
                    "{} bytes are not between {} MiB and {} GiB",
                    limits.memory,
                    MEMORY.start() >> 20,
                    MEMORY.end() >> 30
                ),
            });
        }
        let shared_instances = (processors() + 1).clamp(LEAST_SHARED, MOST_SHARED);
        let half = match machine_memory() / 2 {
            0 => TOTAL_MEMORY,
            half => half.min(TOTAL_MEMORY),
        };
        // And one that answers pings, and one for those who wait.
        let budget = Budget::new(
            limits.total_memory.unwrap_or(half),
            limits.memory,
            shared_instances + 2,
        );
        if let Some(asked) = limits.total_memory
            && budget.total() >> 20 > asked >> 20
        {
            tracing::warn!(
                "--total-memory-limit {} MiB is too little for two operations of --memory-limit {} MiB: {} MiB \
                 is taken instead; lower --memory-limit too",
                asked >> 20,
                limits.memory >> 20,
                budget.total() >> 20
            );
        }
        let memory = budget.limit();
        let loaded = tokio::task::spawn_blocking(move || load(path.as_deref(), memory));
        let store = capabilities.store.clone();
        let decoders = budget.decoders();
        let options = Options {
            decoders: decoders.clone(),
            ..Options::default()
        };
        let store = tokio::task::spawn_blocking(move || Store::open(&store, options));
        let outgoing = Outgoing::new(&capabilities)?;
        let (loaded, store) = tokio::join!(loaded, store);
        let join = |error| Error::Host(wasmtime::Error::new(error));
        let (engine, component) = loaded.map_err(join)??;
        let store = store.map_err(join)??;

        let pre = linker(&engine)?.instantiate_pre(&component)?;
        let exports = EnginePre::new(pre.clone())?;

        let configuration = configuration(&capabilities, &store)?;
        let ticker = Ticker::new(&engine).map_err(|error| Error::Host(error.into()))?;
        Ok(Self {
            engine,
            exports,
            pre,
            shared: Arc::new(Shared {
                store: Arc::new(store),
                configuration,
                outgoing,
                admission: Admission::new(budget.places()),
                budget: Arc::new(budget),
                decoders,
                patience: PATIENCE,
                ticker,
                #[cfg(test)]
                faults: crate::imports::Faults::default(),
            }),
            connections: capabilities.limits.connections.max(1),
            shared_instances,
            compute: capabilities.limits.compute,
            stall: capabilities.limits.stall,
        })
    }

    /// Brings the store's layout up to date with its names.
    ///
    /// # Errors
    /// [`Error::Store`] if it cannot be written.
    pub async fn close(self) -> Result<()> {
        Ok(self.shared.store.flush().await?)
    }

    /// A fresh wasmtime store for one instance with this memory, whose work `meter` measures.
    pub(crate) fn store(&self, memory: Memory, meter: &Arc<Meter>) -> wasmtime::Store<State> {
        let mut store = wasmtime::Store::new(&self.engine, State::new(&self.shared, memory));
        store.limiter_async(|state| &mut state.memory);
        let meter = Arc::clone(meter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| meter.tick());
        store
    }

    /// What one typed call runs in, when it is its turn.
    ///
    /// # Errors
    /// [`Error::Busy`] if there was no room for it in time.
    pub(crate) async fn alone(&self) -> Result<Alone> {
        let place = self.shared.admission.enter().await?;
        let meter = Meter::alone(self.compute);
        let store = self.store(self.shared.budget.share().await?, &meter);
        Ok(Alone {
            store,
            meter,
            place,
        })
    }

    /// Work of an instance, measured.
    pub(crate) fn measured<F: Future>(&self, meter: &Arc<Meter>, work: F) -> Metered<F> {
        Metered::new(work, Arc::clone(meter), Arc::clone(&self.shared.ticker))
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// All that a component may import. A function that is not `async`, because the bodies of those are compiled
/// again in each crate that calls them, and this one is the most there is to compile.
fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>> {
    use bindings::strata::image::{codec, content, facts, leases, names, settings};

    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    codec::add_to_linker::<_, HasImports>(&mut linker, imports)?;
    content::add_to_linker::<_, HasImports>(&mut linker, imports)?;
    facts::add_to_linker::<_, HasImports>(&mut linker, imports)?;
    leases::add_to_linker::<_, HasImports>(&mut linker, imports)?;
    names::add_to_linker::<_, HasImports>(&mut linker, imports)?;
    settings::add_to_linker::<_, HasImports>(&mut linker, imports)?;
    Ok(linker)
}

/// The component, and the wasmtime engine it runs in.
fn load(path: Option<&Path>, memory: usize) -> Result<(wasmtime::Engine, Component)> {
    let mut config = strata_code::config();
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(MAX_INSTANCES)
        // The component and the WASI adapter inside it.
        .total_core_instances(MAX_INSTANCES * 4)
        .total_memories(MAX_INSTANCES)
        .total_tables(MAX_INSTANCES * 2)
        .max_memory_size(memory)
        // Keep a little of a used instance's memory mapped: the next one starts warm.
        .linear_memory_keep_resident(1 << 20);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    match path {
        Some(path) => code::compiled(&config, path),
        None => code::carried(config),
    }
}
