//! Machine code of the component: the settings it is made with, which are those it runs with.
//!
//! `cargo xtask build` has it made by this package's program, and the binary carries it. So nothing is compiled at
//! run time, and nothing is kept in a cache folder that could be tampered with.

use wasmtime::{Config, Engine, Result};

/// The processor it is made for: the least of its architecture, so that a binary runs wherever it is copied to.
/// What newer processors have would save the component little; hashing and (de)compression are native and choose
/// their instructions at run time.
#[cfg(target_arch = "x86_64")]
const TARGET: &str = "x86_64-unknown-linux-gnu";
#[cfg(target_arch = "aarch64")]
const TARGET: &str = "aarch64-unknown-linux-gnu";

/// wasmtime's settings that code depends on. Code and engine must agree in them.
pub fn config() -> Config {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.epoch_interruption(true);
    config
}

/// Compiles a component.
///
/// # Errors
/// If `component` is none, or has what the settings do not allow.
pub fn compile(component: &[u8]) -> Result<Vec<u8>> {
    let mut config = config();
    config.target(TARGET)?;
    Engine::new(&config)?.precompile_component(component)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use wasmtime::component::Component;

    use super::*;

    /// The smallest component.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    /// An engine on a processor that has nothing but what each of its kind has.
    #[expect(unsafe_code, reason = "this processor may have more")]
    fn plain() -> Engine {
        let mut config = config();
        // Or its own compiler counts on what this processor has.
        config.target(TARGET).unwrap();
        // SAFETY: what is said not to be there is not used.
        unsafe { config.detect_host_feature(|_| Some(false)) };
        Engine::new(&config).unwrap()
    }

    #[expect(unsafe_code, reason = "wasmtime cannot know who made code")]
    fn load(engine: &Engine, code: &[u8]) -> Result<Component> {
        // SAFETY: wasmtime made it.
        unsafe { Component::deserialize(engine, code) }
    }

    #[test]
    fn code_runs_on_every_processor_of_its_kind() {
        let code = compile(EMPTY).unwrap();
        for engine in [Engine::new(&config()).unwrap(), plain()] {
            load(&engine, &code).unwrap();
        }
    }

    #[test]
    fn what_is_no_component_is_not_compiled() {
        assert!(compile(b"\0asm\x01\0\0\0").is_err());
        assert!(compile(b"").is_err());
    }
}
