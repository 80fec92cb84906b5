//! Fuzz target: the reader of JSON, beside `serde_json` where both mean the same.
#![no_main]
#![allow(clippy::expect_used, reason = "a fault is a panic")]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use strata_oci::json::{self, Error};

fuzz_target!(|bytes: &[u8]| {
    let ours = json::from_slice::<serde::de::IgnoredAny>(bytes);
    let theirs = serde_json::from_slice::<serde::de::IgnoredAny>(bytes);
    if ours != Err(Error::TooDeep) {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(ours.is_ok(), theirs.is_ok(), "{text:?}");
    }
    let ours = json::from_slice::<Value>(bytes);
    // What only we read: bytes and surrogates that are no text.
    if let Ok(theirs) = serde_json::from_slice::<Value>(bytes) {
        let ours = ours.expect("the other reader takes it");
        assert_eq!(without_fractions(ours), without_fractions(theirs));
    }
});

/// Fractions are rounded differently.
fn without_fractions(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() || number.as_i64() == Some(0) => Value::Null,
        Value::Array(list) => list.into_iter().map(without_fractions).collect(),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, without_fractions(value)))
            .collect(),
        other => other,
    }
}
