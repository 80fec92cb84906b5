//! Fuzz target: manifests and indexes, whatever type they are announced as.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::{Document, archive, media_type};

const TYPES: [&str; 6] = [
    "",
    media_type::OCI_INDEX,
    media_type::OCI_MANIFEST,
    media_type::DOCKER_MANIFEST_LIST,
    media_type::DOCKER_MANIFEST,
    "application/octet-stream",
];

fuzz_target!(|bytes: &[u8]| {
    for announced in TYPES {
        if let Ok(document) = Document::parse(announced, bytes) {
            for child in document.children() {
                let _ = (
                    child.is_attestation(),
                    child.attestation_for(),
                    child.inline(),
                );
            }
        }
    }
    let _ = archive::docker::parse_manifest(bytes);
    let _ = archive::layout::Layout::parse(bytes);
    let _ = archive::layout::parse_index(bytes);
});
