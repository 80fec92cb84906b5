//! Everything generated from `wit/`. Nothing below this crate sees it.
#![allow(
    missing_docs,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code; wit/ documents it"
)]

wit_bindgen::generate!({
    path: "../../wit",
    world: "engine",
    generate_unused_types: true,
});
