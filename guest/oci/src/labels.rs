//! Labels as they are kept: one text and where its pieces end, since configs of a few MiB may have hundreds of
//! thousands of them.

use serde::{Serialize, Serializer};

/// Labels in key order, each key once. They cannot be changed, so they can be shared.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Labels {
    /// Keys and values, one after the other.
    text: Box<str>,
    /// Where each key ends, and where its value does.
    ends: Box<[(u32, u32)]>,
}

impl Labels {
    /// Keeps labels that come in key order, each key once. What goes beyond 4 GiB of text is left out; a config has
    /// at most [`MAX_CONFIG_BYTES`](crate::config::MAX_CONFIG_BYTES).
    pub fn new<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut text = String::new();
        let mut ends = Vec::new();
        for (key, value) in labels {
            let key_end = text.len().saturating_add(key.len());
            let end = key_end.saturating_add(value.len());
            let (Ok(key_end), Ok(end)) = (u32::try_from(key_end), u32::try_from(end)) else {
                break;
            };
            text.push_str(key);
            text.push_str(value);
            ends.push((key_end, end));
        }
        Self {
            text: text.into(),
            ends: ends.into(),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of memory they take.
    pub fn weight(&self) -> usize {
        self.text.len() + self.ends.len() * size_of::<(u32, u32)>()
    }

    /// The value under `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            let (found, value) = self.at(middle)?;
            match found.cmp(key) {
                std::cmp::Ordering::Equal => return Some(value),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        None
    }

    /// Keys and values, in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).filter_map(|position| self.at(position))
    }

    fn at(&self, position: usize) -> Option<(&str, &str)> {
        let start = match position.checked_sub(1) {
            Some(before) => self.ends.get(before)?.1,
            None => 0,
        };
        let (key_end, end) = *self.ends.get(position)?;
        let piece = |from, to| {
            self.text
                .get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
        };
        Some((piece(start, key_end)?, piece(key_end, end)?))
    }
}

impl std::fmt::Debug for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_read_as_they_were_given() {
        let given = [
            ("", "e"),
            ("a", ""),
            ("a=b", "x"),
            ("z", "long value"),
            ("é", "ü"),
        ];
        let labels = Labels::new(given);
        assert_eq!(labels.iter().collect::<Vec<_>>(), given);
        for (key, value) in given {
            assert_eq!(labels.get(key), Some(value));
        }
        for key in ["0", "aa", "zz", "e"] {
            assert_eq!(labels.get(key), None, "{key}");
        }
        let json = r#"{"":"e","a":"","a=b":"x","z":"long value","é":"ü"}"#;
        assert_eq!(serde_json::to_string(&labels).unwrap(), json);
        assert!(Labels::default().is_empty() && Labels::default().get("").is_none());
    }

    #[test]
    fn many_small_labels_weigh_little_more_than_their_text() {
        let keys: Vec<String> = (0..100_000).map(|n| format!("{n:06}")).collect();
        let labels = Labels::new(keys.iter().map(|key| (key.as_str(), "")));
        assert_eq!(labels.len(), 100_000);
        assert_eq!(labels.weight(), 100_000 * (6 + 8));
    }
}
