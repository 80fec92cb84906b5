//! Fuzz target: image configs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::ImageConfig;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(config) = ImageConfig::parse(bytes) {
        let _ = (config.platform().normalized(), config.created_unix());
        assert!(config.labels().count() <= bytes.len());
    }
});
