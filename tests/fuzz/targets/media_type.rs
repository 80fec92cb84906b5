//! Fuzz target: media types.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::media_type;

fuzz_target!(|text: &str| {
    let essence = media_type::essence(text);
    assert_eq!(
        media_type::kind(text),
        media_type::kind(essence),
        "{text:?}"
    );
    let _ = media_type::layer_compression(text);
    let _ = media_type::is_image_config(text);
});
