//! Fuzz target: references, digests, IDs and platforms as people write them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::{Digest, Platform, Reference, reference};

fuzz_target!(|text: &str| {
    if let Ok(read) = Reference::parse(text) {
        let written = read.to_string();
        let again = Reference::parse(&written);
        assert_eq!(again.as_ref(), Ok(&read), "{text:?} became {written:?}");
        let familiar = read.familiar();
        let again = Reference::parse(&familiar).map(Reference::with_default_tag);
        assert_eq!(
            again,
            Ok(read.with_default_tag()),
            "{text:?} is shown as {familiar:?}"
        );
    }
    if let Ok(digest) = Digest::parse(text) {
        assert_eq!(digest.as_str(), text);
        assert_eq!(digest.encoded().len(), digest.algorithm().hex_len());
    }
    let _ = reference::parse_name_or_id(text);
    let _ = reference::id_prefix(text);
    let host = Platform::default();
    if let Ok(platform) = Platform::parse(text, &host) {
        let normalized = platform.normalized();
        assert_eq!(normalized.normalized(), normalized, "{text:?}");
        assert!(platform.matches(&platform), "{text:?}");
    }
    let _ = Platform::parse_json(text);
});
