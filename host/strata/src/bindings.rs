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
        "strata:image/store.ingest": crate::lent::Ingest,
        "strata:image/store.stage": crate::lent::Stage,
        "strata:image/store.lease": crate::lent::Lease,
    },
});
