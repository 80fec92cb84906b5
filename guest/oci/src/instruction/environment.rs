//! The environment while instructions change it, found by name in constant time: there may be tens of thousands.

use std::collections::HashMap;

/// `NAME=value` entries in order.
pub(super) struct Environment {
    entries: Option<Vec<String>>,
    /// The first and the last entry of each name. The first is the one to replace, the last the one that counts.
    positions: HashMap<String, (usize, usize)>,
}

impl Environment {
    /// What a config has; `None` stays that until something is set.
    pub(super) fn new(entries: Option<Vec<String>>) -> Self {
        let mut positions = HashMap::new();
        for (position, entry) in entries.iter().flatten().enumerate() {
            let name = split(entry).0.to_owned();
            let both = positions.entry(name).or_insert((position, position));
            both.1 = position;
        }
        Self { entries, positions }
    }

    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let (_, last) = self.positions.get(name)?;
        let entry = self.entries.as_ref()?.get(*last)?;
        Some(split(entry).1)
    }

    /// Sets a variable, in its place if it has one.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        let entry = format!("{name}={value}");
        let entries = self.entries.get_or_insert_default();
        // A name with an equals sign in it, which quotes allow, is another one once it is an entry.
        let name = split(&entry).0.to_owned();
        let found = self.positions.get(&name);
        match found.and_then(|(first, _)| entries.get_mut(*first)) {
            Some(place) => *place = entry,
            None => {
                let position = entries.len();
                entries.push(entry);
                self.positions.insert(name, (position, position));
            }
        }
    }

    /// What the config shall have.
    pub(super) fn into_entries(self) -> Option<Vec<String>> {
        self.entries
    }
}

fn split(entry: &str) -> (&str, &str) {
    entry.split_once('=').unwrap_or((entry, ""))
}
