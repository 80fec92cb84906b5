//! A bounded map from keys to what was learned about them.
//!
//! Content never changes under a digest, so entries never go stale; they only
//! take room: each says how many bytes.

use std::{collections::HashMap, hash::Hash, mem};

/// Keeps what was used lately, up to a total weight.
///
/// Two halves: what is used moves to the young half; when that is full it
/// becomes the old one and the old one is dropped. That is nearly
/// least-recently-used at the price of a map.
pub(super) struct Bounded<K, V> {
    /// Weight of one half.
    half: usize,
    /// Weight of the young half.
    weight: usize,
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
}

impl<K: Clone + Eq + Hash, V: Clone> Bounded<K, V> {
    /// An empty map for entries of `limit` weight in all.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            half: limit / 2,
            weight: 0,
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }

    /// The entry of `key`.
    pub(super) fn get(&mut self, key: &K) -> Option<V> {
        if let Some((value, _)) = self.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = self.old.remove(key)?;
        self.insert(key.clone(), value.clone(), weight);
        Some(value)
    }

    /// Keeps `value`, unless it alone would fill half the room.
    pub(super) fn insert(&mut self, key: K, value: V, weight: usize) {
        self.old.remove(&key);
        if let Some((_, replaced)) = self.young.remove(&key) {
            self.weight -= replaced;
        }
        if weight > self.half {
            return;
        }
        if self.weight + weight > self.half {
            self.old = mem::take(&mut self.young);
            self.weight = 0;
        }
        self.young.insert(key, (value, weight));
        self.weight += weight;
    }

    /// Weight of everything in it.
    #[cfg(test)]
    pub(super) fn weight(&self) -> usize {
        let entries = self.young.values().chain(self.old.values());
        entries.map(|(_, weight)| weight).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_used_and_never_more_than_the_limit() {
        let mut cache = Bounded::new(8);
        for n in 0..100 {
            cache.insert(n, n, 1);
            assert_eq!(cache.get(&0), Some(0), "after {n}");
            assert!(cache.weight() <= 8);
        }
        assert_eq!(cache.get(&1), None);
        cache.insert(200, 200, 5);
        assert_eq!(cache.get(&200), None, "too heavy");
        cache.insert(0, 1, 1);
        assert_eq!(cache.get(&0), Some(1));
        cache.insert(0, 2, 5);
        assert_eq!(cache.get(&0), None, "what it replaces is outdated");
    }

    #[test]
    fn heavy_entries_count_as_what_they_weigh() {
        let mut cache = Bounded::new(100);
        for n in 0..10 {
            cache.insert(n, n, 30);
            assert!(cache.weight() <= 100, "{}", cache.weight());
        }
        assert_eq!(cache.get(&9), Some(9));
        assert_eq!(cache.get(&0), None);
    }
}
