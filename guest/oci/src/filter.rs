//! The `filters` query parameter of list and prune requests (docker §1.3).
//!
//! Reading it and the two conditions every endpoint shares, booleans and labels; what the other keys mean
//! belongs to each endpoint.

use std::collections::BTreeMap;

use serde_json::from_str;

/// Why filters are refused; the texts are those of docker §1.3.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Neither of the two JSON spellings.
    #[error("invalid filter")]
    Unparsable,
    /// An unknown key, or a key without values where one is needed.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// The values are not what the key takes, or contradict each other.
    #[error("invalid filter '{key}=[{}]'", values.join(" "))]
    Values {
        /// The key.
        key: String,
        /// All its values.
        values: Vec<String>,
    },
}

/// Filters by key, each with its distinct values: sorted if the caller sent a map, in order if a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(BTreeMap<String, Vec<String>>);

impl Filters {
    /// Reads `{"k":["v"]}` or `{"k":{"v":true}}` (the booleans mean nothing); the empty string is no filters.
    ///
    /// # Errors
    /// [`FilterError::Unparsable`] for anything else, a mixture of the spellings included.
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        type Map = BTreeMap<String, Option<BTreeMap<String, Option<bool>>>>;
        type List = BTreeMap<String, Option<Vec<String>>>;

        if json.is_empty() {
            return Ok(Self::default());
        }
        if let Ok(map) = from_str::<Option<Map>>(json) {
            let values =
                |set: Option<BTreeMap<_, _>>| set.unwrap_or_default().into_keys().collect();
            let entries = map.unwrap_or_default().into_iter();
            return Ok(Self(entries.map(|(key, set)| (key, values(set))).collect()));
        }
        let lists: List = from_str(json).map_err(|_| FilterError::Unparsable)?;
        let mut filters = BTreeMap::new();
        for (key, list) in lists {
            let mut seen = std::collections::BTreeSet::new();
            let mut values = list.unwrap_or_default();
            values.retain(|value| seen.insert(value.clone()));
            filters.insert(key, values);
        }
        Ok(Self(filters))
    }

    /// Checks that every key is one of `accepted`.
    ///
    /// # Errors
    /// [`FilterError::Key`] with the first (in sorted order) that is not.
    pub fn validate(&self, accepted: &[&str]) -> Result<(), FilterError> {
        match self.0.keys().find(|key| !accepted.contains(&key.as_str())) {
            Some(key) => Err(FilterError::Key(key.clone())),
            None => Ok(()),
        }
    }

    /// The values of `key`; empty if it is absent.
    pub fn get(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    /// Whether `key` is present, even without values.
    pub fn contains(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The boolean under `key`: `1` or `true`, `0` or `false`; `None` if the key is absent.
    ///
    /// # Errors
    /// [`FilterError::Key`] if it has no values; [`FilterError::Values`] if they say neither or both.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>, FilterError> {
        let Some(values) = self.0.get(key) else {
            return Ok(None);
        };
        let says = |words: [&str; 2]| values.iter().any(|value| words.contains(&value.as_str()));
        match (says(["1", "true"]), says(["0", "false"])) {
            _ if values.is_empty() => Err(FilterError::Key(key.to_owned())),
            (true, false) => Ok(Some(true)),
            (false, true) => Ok(Some(false)),
            _ => Err(FilterError::Values {
                key: key.to_owned(),
                values: values.clone(),
            }),
        }
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether `labels` satisfy one value of the `label` filter (docker §4.1): `k` (present), `k=v` (equal),
/// `k!=v` (present and different) or `k!` (absent).
pub fn match_label(condition: &str, labels: &BTreeMap<String, String>) -> bool {
    check_label(condition, labels, false)
}

/// Whether `labels` satisfy one value of the `label!` filter: the opposite of [`match_label`], except that
/// `k=v` and `k!=v` still need the label to be present, as dockerd has it.
pub fn match_label_not(condition: &str, labels: &BTreeMap<String, String>) -> bool {
    check_label(condition, labels, true)
}

fn check_label(condition: &str, labels: &BTreeMap<String, String>, negate: bool) -> bool {
    let (key, wanted) = match condition.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (condition, None),
    };
    let (key, negate) = match key.strip_suffix('!') {
        Some(key) => (key, !negate),
        None => (key, negate),
    };
    match (labels.get(key), wanted) {
        (found, None) => found.is_some() != negate,
        (None, Some(_)) => false,
        (Some(found), Some(wanted)) => (found == wanted) != negate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(json: &str) -> Filters {
        Filters::parse(json).unwrap_or_else(|error| panic!("{json}: {error}"))
    }

    #[test]
    fn both_spellings_say_the_same() {
        let list = parse(r#"{"label":["a","b"],"until":["1h"]}"#);
        // The booleans mean nothing: presence is what counts.
        let map = parse(r#"{"label":{"b":false,"a":true},"until":{"1h":true}}"#);
        assert_eq!(list, map);
        assert_eq!(list.get("label"), ["a", "b"]);
        assert_eq!(list.get("until"), ["1h"]);
        assert!(list.get("other").is_empty());
        assert!(list.contains("label") && !list.contains("other"));
    }

    #[test]
    fn values_are_distinct() {
        assert_eq!(parse(r#"{"k":["b","a","b"]}"#).get("k"), ["b", "a"]);
    }

    #[test]
    fn nothing_is_no_filter() {
        for json in ["", "{}", "null"] {
            assert!(parse(json).is_empty(), "{json:?}");
        }
        for json in [r#"{"k":[]}"#, r#"{"k":{}}"#, r#"{"k":null}"#] {
            let filters = parse(json);
            assert!(filters.contains("k") && !filters.is_empty(), "{json}");
            assert!(filters.get("k").is_empty());
        }
    }

    #[test]
    fn refuses_other_json() {
        for json in [
            "x",
            "[]",
            "1",
            r#"{"k":"v"}"#,
            r#"{"k":1}"#,
            r#"{"k":[1]}"#,
            r#"{"k":{"v":1}}"#,
            r#"{"k":["v"],"l":{"v":true}}"#,
            r#"{"k":["v"]}x"#,
        ] {
            let error = Filters::parse(json).unwrap_err();
            assert_eq!(error.to_string(), "invalid filter", "{json}");
        }
    }

    #[test]
    fn refuses_unknown_keys() {
        let filters = parse(r#"{"label":["a"],"foo":["b"]}"#);
        assert_eq!(filters.validate(&["foo", "label"]), Ok(()));
        let error = filters.validate(&["label"]).unwrap_err();
        assert_eq!(error.to_string(), "invalid filter 'foo'");
    }

    #[test]
    fn booleans_say_one_thing() {
        for (values, expected) in [
            (r#"["1"]"#, Ok(Some(true))),
            (r#"["true"]"#, Ok(Some(true))),
            (r#"["0"]"#, Ok(Some(false))),
            (r#"["false"]"#, Ok(Some(false))),
            (r#"["1","true","maybe"]"#, Ok(Some(true))),
            (r#"["maybe"]"#, Err("invalid filter 'dangling=[maybe]'")),
            (r#"["True"]"#, Err("invalid filter 'dangling=[True]'")),
            (r#"["1","0"]"#, Err("invalid filter 'dangling=[1 0]'")),
            ("[]", Err("invalid filter 'dangling'")),
        ] {
            let filters = parse(&format!(r#"{{"dangling":{values}}}"#));
            let got = filters
                .boolean("dangling")
                .map_err(|error| error.to_string());
            assert_eq!(got, expected.map_err(str::to_owned), "{values}");
        }
        assert_eq!(Filters::default().boolean("dangling"), Ok(None));
    }

    #[test]
    fn label_conditions() {
        let labels = BTreeMap::from([
            ("k".to_owned(), "v".to_owned()),
            ("e".to_owned(), String::new()),
            ("q".to_owned(), "a=b".to_owned()),
        ]);
        for (condition, matches, matches_not) in [
            ("k", true, false),
            ("x", false, true),
            ("k=v", true, false),
            ("k=w", false, true),
            ("k=", false, true),
            ("e=", true, false),
            ("e", true, false),
            ("q=a=b", true, false),
            ("k!=w", true, false),
            ("k!=v", false, true),
            ("k!", false, true),
            ("x!", true, false),
            // A value condition needs the label to be there, negated or not.
            ("x=v", false, false),
            ("x!=v", false, false),
        ] {
            assert_eq!(match_label(condition, &labels), matches, "{condition}");
            assert_eq!(
                match_label_not(condition, &labels),
                matches_not,
                "{condition}"
            );
        }
    }
}
