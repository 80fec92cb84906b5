//! The component's machine code: carried in this binary, or compiled now from a file.
//!
//! What the binary carries is run where the system has mapped it with the rest of the binary: nothing is read that
//! does not run, and all processes share it.

use std::{
    path::Path,
    ptr::NonNull,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::{Config, CustomCodeMemory, Engine, component::Component};

use crate::{Error, Result};

/// Granularity of what can be made executable: the largest page of this architecture.
const PAGE: usize = if cfg!(target_arch = "x86_64") {
    4096
} else {
    65536
};

/// Bytes that begin at a page.
#[cfg_attr(target_arch = "x86_64", repr(C, align(4096)))]
#[cfg_attr(not(target_arch = "x86_64"), repr(C, align(65536)))]
struct Paged<T: ?Sized>(T);

/// What `cargo xtask build` compiled; empty in a build without it.
static CARRIED: &Paged<[u8]> = &Paged(*include_bytes!(concat!(env!("OUT_DIR"), "/code.cwasm")));

/// An engine with these settings, and the component this binary carries.
///
/// # Errors
/// [`Error::NoComponent`] if it carries none; [`Error::Host`] if this machine cannot run it.
pub(crate) fn carried(mut config: Config) -> Result<(Engine, Component)> {
    /// wasmtime finds code by its address, so no two engines can run the same.
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    let bytes = &CARRIED.0;
    if bytes.is_empty() {
        return Err(Error::NoComponent);
    }
    let in_place = !IS_TAKEN.swap(true, Ordering::Relaxed);
    if in_place {
        config.with_custom_code_memory(Some(Arc::new(Pages)));
    }
    let engine = Engine::new(&config)?;
    let component = load(&engine, bytes, in_place)?;
    Ok((engine, component))
}

/// An engine with these settings, and the component in a file.
///
/// # Errors
/// [`Error::Component`] if it cannot be read; [`Error::Host`] if it does not compile.
pub(crate) fn compiled(config: &Config, path: &Path) -> Result<(Engine, Component)> {
    let bytes = std::fs::read(path).map_err(|source| Error::Component {
        path: path.to_path_buf(),
        source,
    })?;
    let engine = Engine::new(config)?;
    let component = Component::from_binary(&engine, &bytes)?;
    Ok((engine, component))
}

/// `bytes` as code, a copy of them unless `in_place`.
#[expect(unsafe_code, reason = "wasmtime cannot know who made code")]
fn load(engine: &Engine, bytes: &'static [u8], in_place: bool) -> wasmtime::Result<Component> {
    // SAFETY: they are part of this binary, where `strata_code::compile` put them when it was built, are never
    // written to and live as long as the process. wasmtime refuses those of other versions and settings.
    unsafe {
        match in_place {
            true => Component::deserialize_raw(engine, NonNull::from(bytes)),
            false => Component::deserialize(engine, bytes),
        }
    }
}

/// The pages of this binary.
struct Pages;

impl CustomCodeMemory for Pages {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    #[expect(unsafe_code, reason = "nobody else can let code run")]
    fn publish_executable(&self, code: *const u8, length: usize) -> wasmtime::Result<()> {
        let flags = MprotectFlags::READ | MprotectFlags::EXEC;
        // SAFETY: wasmtime passes whole pages of what `load` gave it, which nobody writes to.
        unsafe { mprotect(code.cast_mut().cast(), length, flags) }?;
        Ok(())
    }

    /// Nothing: code that nobody calls any more does no harm, and it cannot be written to.
    fn unpublish_executable(&self, _code: *const u8, _length: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}
