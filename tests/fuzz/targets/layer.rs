//! Fuzz target: layers read, and their entries written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use strata_oci::layer::{Entry, Kind, Parser, Step, header};

fn entries(mut bytes: &[u8]) -> Vec<(Entry, u64)> {
    let (mut parser, mut entries) = (Parser::rooted(), Vec::new());
    while let Ok((used, step)) = parser.step(bytes) {
        bytes = &bytes[used..];
        match step {
            Step::Entry(entry) => entries.push((entry, parser.offset())),
            Step::Content => {}
            Step::More | Step::End => break,
        }
    }
    entries
}

fuzz_target!(|bytes: &[u8]| {
    for (mut entry, _) in entries(bytes) {
        let _ = entry.whiteout();
        let written = header(&entry);
        if let Kind::Sparse(sparse) = &entry.kind {
            // Written, it is a file as any other.
            entry.kind = Kind::File(sparse.size);
        }
        let read = entries(&written);
        assert_eq!(read.len(), 1, "{entry:?}");
        assert_eq!(read[0].0, entry);
    }
});
