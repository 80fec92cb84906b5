//! The engine as a WASI 0.3 component.
//!
//! A thin shell: [`bindings`] is generated from `wit/`, [`imports`] gives the
//! engine's traits what the host provides, [`exports`] exports the WIT interfaces and
//! [`http`] the Docker image API over `wasi:http/handler`. No image logic.

// A cdylib that exports does not link natively: the linker's version script
// stumbles over the `:` of component export names.
#![cfg(target_arch = "wasm32")]

mod bindings;
mod convert;
mod exports;
mod http;
mod imports;

use std::{cell::OnceCell, rc::Rc};

/// The engine over what this component imports.
type Engine = strata_engine::Engine<(
    imports::HostStore,
    imports::HostTransport,
    imports::HostClock,
)>;

thread_local! {
    // One engine per instance: its caches live as long as the instance is reused.
    static ENGINE: OnceCell<Rc<Engine>> = const { OnceCell::new() };
}

/// The engine of this instance.
fn engine() -> Rc<Engine> {
    ENGINE.with(|cell| {
        Rc::clone(cell.get_or_init(|| {
            let configuration = bindings::strata::image::settings::get();
            Rc::new(Engine::new(
                imports::HostStore,
                imports::HostTransport,
                imports::HostClock,
                convert::settings(configuration),
            ))
        }))
    })
}

#[expect(
    unsafe_code,
    reason = "exporting a component needs no_mangle functions"
)]
mod abi {
    use super::{bindings, exports::Exports, http::Http};

    bindings::export!(Exports with_types_in bindings);
    wasip3::http::service::export!(Http);
}
