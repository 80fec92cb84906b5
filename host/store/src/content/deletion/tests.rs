//! What others may do while many blobs are deleted.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::lease::handle;
use crate::{Options, open};

/// Blobs in a new store.
fn blobs() -> (TempDir, Vec<Digest>) {
    let place = tempfile::tempdir().unwrap();
    drop(open::open(place.path(), &Options::default()).unwrap());
    let blob = |number: u8| {
        let digest = Digest::sha256(&[number]);
        let folder = place.path().join("blobs/sha256");
        fs::write(folder.join(digest.encoded()), [number]).unwrap();
        digest
    };
    let digests = (0..6).map(blob).collect();
    (place, digests)
}

#[test]
fn a_batch_is_shorter_than_what_somebody_may_notice() {
    assert!(BATCH <= Duration::from_millis(50));
    assert!(PAUSE > Duration::ZERO);
}

#[test]
fn between_two_batches_all_others_have_their_turn() {
    let (place, digests) = blobs();
    let (parts, _background) = open::open(place.path(), &Options::default()).unwrap();
    let (other, _also) = open::open(place.path(), &Options::default()).unwrap();
    let generation = parts.names.database.head().unwrap().generation;
    let last = digests.last().unwrap();
    let mut held = Vec::new();
    let removed = delete_in_batches(&parts.content, &digests, generation, Duration::ZERO, || {
        other.names.database.write(|_, _| Ok(())).unwrap();
        let lease = handle::acquire(&other.leases).unwrap();
        let id = handle::id(&lease, &other.leases).unwrap();
        other
            .leases
            .protect(id, std::slice::from_ref(last))
            .unwrap();
        held.push(lease);
    })
    .unwrap();
    // After each of them, which is of one blob where there is no time for more.
    assert_eq!(held.len(), digests.len() - 1);
    let removed: Vec<Digest> = removed.into_iter().map(|(digest, _)| digest).collect();
    assert_eq!(removed, digests[..5], "what was leased meanwhile stays");
    assert!(parts.layout.open_blob(last).is_ok());
}

#[test]
fn a_name_that_comes_between_two_batches_keeps_the_rest() {
    let (place, digests) = blobs();
    let (parts, _background) = open::open(place.path(), &Options::default()).unwrap();
    let generation = parts.names.database.head().unwrap().generation;
    let mut turns = 0;
    let removed = delete_in_batches(&parts.content, &digests, generation, Duration::ZERO, || {
        turns += 1;
        if turns == 2 {
            let change = |transaction: &rusqlite::Transaction<'_>, _| {
                database::advance(transaction, true).map(drop)
            };
            parts.names.database.write(change).unwrap();
        }
    })
    .unwrap();
    assert_eq!((removed.len(), turns), (2, 2));
}
