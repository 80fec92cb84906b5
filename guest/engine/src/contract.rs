//! What `wit/` demands of a store, as checks that every store has to pass: the one in memory
//! here, others where they live.
//!
//! A [`Subject`] is a store as a check needs it: one it may open twice, as two processes would, and
//! whose disk it may harm. The [`checks`] run one by one, each on a new subject:
//!
//! ```ignore
//! for (name, check) in contract::checks::<MySubject>() {
//!     println!("{name}");
//!     block_on(check(&MySubject::new()));
//! }
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a store that breaks the contract shall fail its test"
)]

mod content;
mod damage;
mod derived;
mod ingests;
mod leases;
mod names;
mod removal;

use futures::future::{FutureExt as _, LocalBoxFuture};
use strata_oci::Digest;

use crate::{Body, Change, Error, Expectation, IngestState, Store, Target};

/// A store to be checked, empty at first.
pub trait Subject {
    /// Its type.
    type Store: Store;

    /// The store, as another process that opens it would have it. The first call opens it, too.
    fn open(&self) -> Self::Store;

    /// A body of these bytes, as a transport has it.
    fn body(&self, bytes: Vec<u8>) -> <Self::Store as Store>::Body;

    /// A body of these bytes that then is cut.
    fn cut(&self, bytes: Vec<u8>) -> <Self::Store as Store>::Body;

    /// Changes a byte of a blob behind the store's back, as a bad disk would.
    fn flip(&self, digest: &Digest);
}

/// A check, and what it is called.
pub type Check<S> = (&'static str, for<'s> fn(&'s S) -> LocalBoxFuture<'s, ()>);

macro_rules! checks {
    ($($module:ident: $($check:ident),+;)+) => {
        /// Every check.
        pub fn checks<S: Subject>() -> Vec<Check<S>> {
            vec![$($((
                concat!(stringify!($module), "::", stringify!($check)),
                |subject| $module::$check(subject).boxed_local(),
            )),+),+]
        }
    };
}

checks! {
    content: blobs_are_stored_once_and_read_in_part, what_is_not_what_it_says_is_refused,
        stages_find_out_what_they_are;
    ingests: an_ingest_becomes_visible_with_its_last_byte, one_writes_and_others_know,
        what_was_written_is_gone_on_with, wrong_bytes_are_forgotten_and_too_few_kept,
        one_of_its_own_is_nobody_elses, only_what_nobody_writes_is_discarded;
    leases: what_a_lease_holds_stays_until_it_ends, a_lock_is_held_by_one_lease;
    names: changes_apply_together_or_not_at_all, a_guard_that_does_not_hold_stops_a_change,
        one_of_two_writers_wins, names_are_listed_with_what_they_have,
        a_name_needs_content;
    removal: nothing_goes_after_a_name_changed, what_goes_is_told_with_its_size;
    damage: damage_is_noticed_marked_and_replaced, what_is_damaged_can_be_put_away;
    derived: what_is_derived_goes_with_its_blob, sources_are_kept_latest_first;
}

/// The lease of a subject's store.
type LeaseOf<S> = <<S as Subject>::Store as Store>::Lease;
/// The ingest of a subject's store.
type IngestOf<S> = <<S as Subject>::Store as Store>::Ingest;

/// All of a body.
async fn whole<B: Body<Error = Error>>(mut body: B) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await.unwrap() {
        bytes.extend(chunk);
    }
    bytes
}

/// Stores a blob.
async fn put<S: Store>(store: &S, bytes: &[u8], lease: &S::Lease) -> Digest {
    let digest = Digest::sha256(bytes);
    store.put(&digest, bytes.to_vec(), lease).await.unwrap();
    digest
}

/// The ingest of a blob that nobody else writes.
async fn ingest<S: Subject>(store: &S::Store, bytes: &[u8], lease: &LeaseOf<S>) -> IngestOf<S> {
    let (digest, size) = (Digest::sha256(bytes), bytes.len() as u64);
    match store.open_ingest(&digest, size, lease).await.unwrap() {
        IngestState::Open(ingest) => ingest,
        IngestState::Busy(_) => panic!("somebody writes it"),
        IngestState::Present => panic!("it is here"),
    }
}

/// Where a name points to get to a blob.
fn target(digest: &Digest, size: usize) -> Target {
    Target {
        media_type: "text/plain".to_owned(),
        digest: digest.clone(),
        size: size as u64,
    }
}

/// A change that sets a name.
fn set(name: &str, target: Target, expected: Expectation) -> Change {
    Change::Set {
        namespace: "images".to_owned(),
        name: name.to_owned(),
        target,
        labels: Vec::new(),
        expected,
    }
}

/// The names of images.
async fn names<S: Store>(store: &S) -> Vec<String> {
    let (_, names) = store.names("images").await.unwrap();
    names.into_iter().map(|name| name.name).collect()
}
