//! Fuzz target: filters of the API, and shell patterns against names: pattern and name are a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::{filter::Filters, glob::Pattern};

fuzz_target!(|text: &str| {
    if let Ok(filters) = Filters::parse(text) {
        let _ = filters.validate(&["label", "reference"]);
        let _ = filters.boolean("dangling");
    }
    if let Some((pattern, name)) = text.split_once('\n')
        && let Ok(compiled) = Pattern::compile(pattern)
        && compiled.matches(&name.chars().collect::<Vec<char>>())
    {
        // What a star or a class stands for crosses no slash.
        let slashes = |text: &str| text.matches('/').count();
        assert!(
            slashes(pattern) >= slashes(name),
            "{pattern:?} matched {name:?}"
        );
    }
});
