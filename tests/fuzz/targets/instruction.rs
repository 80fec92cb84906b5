//! Fuzz target: `--change` instructions applied to a config.
#![no_main]
#![allow(clippy::expect_used, reason = "a fault is a panic")]

use libfuzzer_sys::fuzz_target;
use strata_oci::{config::ContainerConfig, instruction};

fuzz_target!(|text: &str| {
    let mut config = ContainerConfig::default();
    let changes: Vec<String> = text.split('\0').map(str::to_owned).collect();
    if instruction::apply(&changes, &mut config).is_ok() {
        let written = serde_json::to_vec(&config).expect("a config is JSON");
        let read: ContainerConfig = serde_json::from_slice(&written).expect("its own JSON");
        assert_eq!(serde_json::to_vec(&read).expect("JSON"), written);
    }
});
