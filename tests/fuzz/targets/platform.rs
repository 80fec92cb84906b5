//! Fuzz target: a platform against a candidate, both as JSON documents state them; a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::Platform;

fuzz_target!(|lines: &str| {
    let Some((wanted, candidate)) = lines.split_once('\n') else {
        return;
    };
    let (Ok(wanted), Ok(candidate)) = (
        Platform::parse_json(wanted),
        Platform::parse_json(candidate),
    ) else {
        return;
    };
    // What ranks matches or is a fallback; what matches ranks.
    if wanted.matches(&candidate) {
        assert!(wanted.rank(&candidate).is_some(), "{wanted} {candidate}");
    }
    let _ = wanted.format();
});
