//! The compiled component and what it is lent.

use std::{
    borrow::Cow,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use strata_store::{Options, Store};
use wasmtime::{
    Cache, CacheConfig, Config, InstanceAllocationStrategy, PoolingAllocationConfig,
    component::{Component, InstancePre, Linker},
};

use crate::{
    Capabilities, Error, Result,
    bindings::{self, EnginePre},
    instance::{HasLent, Shared, State, lent},
    lent::configuration,
    outgoing::Outgoing,
};

/// The component `cargo xtask build` put into this binary; empty without it.
static COMPONENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/component.wasm"));

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
        // Each takes time: code is loaded while the store opens and certificates are read.
        let path = component.map(Path::to_path_buf);
        let memory = usize::try_from(capabilities.limits.memory).unwrap_or(usize::MAX);
        let compiled = tokio::task::spawn_blocking(move || compile(path.as_deref(), memory));
        let store = capabilities.store.clone();
        let store = tokio::task::spawn_blocking(move || Store::open(&store, Options::default()));
        let capabilities = Arc::new(capabilities);
        let outgoing = tokio::task::spawn_blocking({
            let capabilities = Arc::clone(&capabilities);
            move || Outgoing::new(&capabilities)
        });
        let (compiled, store, outgoing) = tokio::join!(compiled, store, outgoing);
        let join = |error| Error::Host(wasmtime::Error::new(error));
        let (engine, component) = compiled.map_err(join)??;
        let store = store.map_err(join)??;
        let outgoing = outgoing.map_err(join)??;

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
    let bytes: Cow<'static, [u8]> = match path {
        Some(path) => fs::read(path)
            .map_err(|source| Error::Component {
                path: path.to_path_buf(),
                source,
            })?
            .into(),
        None if COMPONENT.is_empty() => return Err(Error::NoComponent),
        None => COMPONENT.into(),
    };
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    if let Some(cache) = cache() {
        config.cache(Some(cache));
    }
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
    let component = Component::new(&engine, &bytes)?;
    Ok((engine, component))
}

/// Where compiled code is kept. Compiling takes seconds, so a cache that cannot
/// be used is worth a warning, never a failure.
fn cache() -> Option<Cache> {
    let folder = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?
        .join("strata");
    let mut config = CacheConfig::new();
    config.with_directory(&folder);
    match Cache::new(config) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!(
                "compiled code is not cached in {}: {error:#}",
                folder.display()
            );
            None
        }
    }
}
