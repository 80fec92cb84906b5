//! Everything generated from `wit/`; [`crate::types`] is the curated view.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code; wit/ documents it"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "engine",
    imports: { default: trappable | store },
    exports: { default: async | store },
    with: {
        "strata:image/content.ingest": crate::imports::Ingest,
        "strata:image/content.stage": crate::imports::Stage,
        "strata:image/leases.lease": crate::imports::Lease,
    },
});
