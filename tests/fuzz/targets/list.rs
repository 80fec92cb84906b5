//! Fuzz target: lists of layers. Bytes that are one are read as it is kept; of all others, as a layer, one is made.
#![no_main]
#![allow(clippy::expect_used, reason = "a fault is a panic")]

use libfuzzer_sys::fuzz_target;
use strata_oci::layer::{Entry, Kind, List, Parser, Step};

fuzz_target!(|bytes: &[u8]| match List::parse(bytes.to_vec()) {
    // It may be damaged, and then ends early.
    Some(list) => {
        let entries: Vec<_> = list.entries().collect();
        assert!(entries.len() <= bytes.len());
        check(&entries, list.is_plain());
    }
    None => check(&listed(bytes), true),
});

/// What a layer lists, each entry with where its content begins, which only files have.
fn listed(mut bytes: &[u8]) -> Vec<(Entry, u64)> {
    let (mut parser, mut entries) = (Parser::rooted(), Vec::new());
    while let Ok((used, step)) = parser.step(bytes) {
        bytes = &bytes[used..];
        match step {
            Step::Entry(entry) => {
                let has_content = matches!(entry.kind, Kind::File(_) | Kind::Sparse(_));
                entries.push((entry, if has_content { parser.offset() } else { 0 }));
            }
            Step::Content => {}
            Step::More | Step::End => break,
        }
    }
    entries
}

/// Kept and read again, a list says the same; cut, it says the beginning of that.
fn check(entries: &[(Entry, u64)], is_plain: bool) {
    let mut list = List::new(is_plain);
    for (entry, offset) in entries {
        list.push(entry, *offset).expect("no bound is near");
    }
    let kept = list.encode();
    let again = List::parse(kept.clone()).expect("its own form");
    assert!(again.entries().eq(entries.iter().cloned()), "{entries:?}");
    assert_eq!(again.len(), entries.len());
    assert_eq!(again.is_plain(), is_plain);
    assert_eq!(again.has_whiteouts(), list.has_whiteouts());
    assert_eq!(again.encode(), kept);
    for length in [kept.len() - 1, kept.len() / 2] {
        if let Some(cut) = List::parse(kept[..length].to_vec()) {
            let read = cut.entries().zip(entries);
            assert_eq!(cut.len(), entries.len());
            assert!(cut.entries().count() < entries.len());
            assert!(read.clone().all(|(read, entry)| read == *entry), "{length}");
        }
    }
}
