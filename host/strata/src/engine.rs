//! The compiled component and what it is lent.

use std::{borrow::Cow, fs, path::Path, sync::Arc};

use sha2::{Digest as _, Sha256};
use strata_store::{Options, Store};
use wasmtime::{
    Config, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, InstancePre, Linker},
};

use crate::{
    Capabilities, Error, Result,
    bindings::{self, EnginePre},
    compiled::Code,
    instance::{HasLent, Shared, State, lent},
    lent::configuration,
    outgoing::Outgoing,
};

/// The component `cargo xtask build` put into this binary; empty without it.
static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

/// SHA-256 of it, in hex.
const COMPONENT_DIGEST: &str = env!("STRATA_COMPONENT_DIGEST");

/// Instances alive at once. Each serves up to [`crate::serve`]'s number of
/// concurrent requests, so this is never reached before the connection limit.
const MAX_INSTANCES: u32 = 128;

/// The engine: compiled once, instantiated per call or per group of requests.
/// Clones share it.
#[derive(Clone)]
pub struct Engine {
    pub(crate) engine: wasmtime::Engine,
    pub(crate) typed: EnginePre<State>,
    pub(crate) pre: InstancePre<State>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) connections: usize,
}

impl Engine {
    /// Opens the store and compiles the component, or takes its compiled form
    /// from the cache. `component` overrides the one inside this build.
    ///
    /// # Errors
    /// [`Error::Store`] if the store cannot be opened, [`Error::NoComponent`] and
    /// [`Error::Component`] if there is no component, [`Error::Setting`] if a
    /// capability does not parse, [`Error::Host`] if it does not compile or fit.
    pub async fn new(component: Option<&Path>, capabilities: Capabilities) -> Result<Self> {
        // Each takes time: code is loaded while the store opens.
        let path = component.map(Path::to_path_buf);
        let memory = usize::try_from(capabilities.limits.memory).unwrap_or(usize::MAX);
        let compiled = tokio::task::spawn_blocking(move || compile(path.as_deref(), memory));
        let store = capabilities.store.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&store, Options::default()));
        let outgoing = Outgoing::new(&capabilities)?;
        let (compiled, store) = tokio::join!(compiled, store);
        let join = |error| Error::Host(wasmtime::Error::new(error));
        let (engine, component) = compiled.map_err(join)??;
        let store = store.map_err(join)??;

        let mut linker = Linker::<State>::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        bindings::strata::image::codec::add_to_linker::<_, HasLent>(&mut linker, lent)?;
        bindings::strata::image::store::add_to_linker::<_, HasLent>(&mut linker, lent)?;
        bindings::strata::image::settings::add_to_linker::<_, HasLent>(&mut linker, lent)?;
        let pre = linker.instantiate_pre(&component)?;
        let typed = EnginePre::new(pre.clone())?;

        let configuration = configuration(&capabilities, &store)?;
        Ok(Self {
            engine,
            typed,
            pre,
            shared: Arc::new(Shared {
                store,
                configuration,
                outgoing,
                memory,
            }),
            connections: capabilities.limits.connections.max(1),
        })
    }

    /// Brings the store's layout up to date with its names.
    ///
    /// # Errors
    /// [`Error::Store`] if it cannot be written.
    pub async fn close(self) -> Result<()> {
        if self.shared.store.read_only() {
            return Ok(());
        }
        Ok(self.shared.store.flush().await?)
    }

    /// A fresh wasmtime store for one instance.
    pub(crate) fn instance_store(&self) -> wasmtime::Store<State> {
        let mut store = wasmtime::Store::new(&self.engine, State::new(&self.shared));
        store.limiter(|state| &mut state.limits);
        store
    }
}

fn compile(path: Option<&Path>, memory: usize) -> Result<(wasmtime::Engine, Component)> {
    let (bytes, digest): (Cow<'static, [u8]>, Cow<'static, str>) = match path {
        Some(path) => {
            let bytes = fs::read(path).map_err(|source| Error::Component {
                path: path.to_path_buf(),
                source,
            })?;
            let digest = hex::encode(Sha256::digest(&bytes));
            (bytes.into(), digest.into())
        }
        None if COMPONENT.is_empty() => return Err(Error::NoComponent),
        None => (COMPONENT.into(), COMPONENT_DIGEST.into()),
    };
    let mut config = Config::new();
    config.wasm_component_model_async(true);
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
    let engine = wasmtime::Engine::new(&config)?;
    let code = Code {
        bytes: &bytes,
        digest: &digest,
    };
    let component = code.component(&engine)?;
    Ok((engine, component))
}
