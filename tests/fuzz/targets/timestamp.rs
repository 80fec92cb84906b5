//! Fuzz target: instants and durations as Go writes and reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::timestamp;

fuzz_target!(|text: &str| {
    if let Some((seconds, nanos)) = timestamp::parse_rfc3339(text) {
        let written = timestamp::format_rfc3339_nano(seconds, nanos);
        assert_eq!(
            timestamp::parse_rfc3339(&written),
            Some((seconds, nanos)),
            "{text:?} became {written:?}"
        );
    }
    let _ = timestamp::parse_go_duration(text);
    let _ = timestamp::parse_until(text, 1_700_000_000);
});
