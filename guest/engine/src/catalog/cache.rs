//! A bounded map from digests to what was learned from their content.
//!
//! Content never changes under a digest, so entries never go stale; they only
//! take room.

use std::{collections::HashMap, mem};

use strata_oci::Digest;

/// Keeps what was used lately, up to a total weight.
///
/// Two halves: what is used moves to the young half; when that is full it
/// becomes the old one and the old one is dropped. That is nearly
/// least-recently-used at the price of a map.
pub(super) struct Bounded<V> {
    /// Weight of one half.
    half: usize,
    /// Weight of the young half.
    weight: usize,
    young: HashMap<Digest, (V, usize)>,
    old: HashMap<Digest, (V, usize)>,
}

impl<V: Clone> Bounded<V> {
    /// An empty map for entries of `limit` weight in all.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            half: limit / 2,
            weight: 0,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// The entry of `digest`.
    pub(super) fn get(&mut self, digest: &Digest) -> Option<V> {
        if let Some((value, _)) = self.young.get(digest) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(digest)?;
        self.insert(digest.clone(), value.clone(), weight);
        Some(value)
    }

    /// Keeps `value`, unless it alone would fill half the room.
    pub(super) fn insert(&mut self, digest: Digest, value: V, weight: usize) {
        if weight > self.half {
            return;
        }
        if self.weight + weight > self.half {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        if let Some((_, replaced)) = self.young.insert(digest, (value, weight)) {
            self.weight -= replaced;
        }
        self.weight += weight;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_never_more_than_the_limit() {
        let digest = |n: usize| Digest::sha256(&n.to_le_bytes());
        let mut cache = Bounded::new(8);
        for n in 0..100 {
            cache.insert(digest(n), n, 1);
            assert_eq!(cache.get(&digest(0)), Some(0), "after {n}");
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        assert_eq!(cache.get(&digest(1)), None);
        cache.insert(digest(200), 200, 5);
        assert_eq!(cache.get(&digest(200)), None, "too heavy");
        cache.insert(digest(0), 1, 1);
        assert_eq!(cache.get(&digest(0)), Some(1));
    }
}
