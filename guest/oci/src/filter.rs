//! The `filters` query parameter of list and prune requests.
//!
//! Reading it and the two conditions every endpoint shares, booleans and labels; what the other keys mean
//! belongs to each endpoint, such as `ImageList`:
//! <https://docs.docker.com/reference/api/engine/version/v1.51/#tag/Image/operation/ImageList>

use std::collections::{BTreeMap, HashMap};

use crate::json::from_slice;

/// The most values a key may have. People give a few and programs tens; each is compared with every image.
pub const MAX_VALUES: usize = 1024;

/// Why filters are refused; the texts are dockerd's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// Neither of the two JSON spellings.
    #[error("invalid filter")]
    Unparsable,
    /// An unknown key, or a key without values where one is needed.
    #[error("invalid filter '{0}'")]
    Key(String),
    /// More values than [`MAX_VALUES`].
    #[error("filter '{key}' has {count} values, the limit is {MAX_VALUES}")]
    TooMany {
        /// The key.
        key: String,
        /// How many there are.
        count: usize,
    },
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
    /// [`FilterError::Unparsable`] for anything else, a mixture of the spellings included;
    /// [`FilterError::TooMany`].
    pub fn parse(json: &str) -> Result<Self, FilterError> {
        type Map = BTreeMap<String, Option<BTreeMap<String, Option<bool>>>>;
        type List = BTreeMap<String, Option<Vec<String>>>;

        if json.is_empty() {
            return Ok(Self::default());
        }
        if let Ok(map) = from_slice::<Option<Map>>(json.as_bytes()) {
            let values =
                |set: Option<BTreeMap<_, _>>| set.unwrap_or_default().into_keys().collect();
            let entries = map.unwrap_or_default().into_iter();
            return Self(entries.map(|(key, set)| (key, values(set))).collect()).bounded();
        }
        let lists: List = from_slice(json.as_bytes()).map_err(|_| FilterError::Unparsable)?;
        let mut filters = BTreeMap::new();
        for (key, list) in lists {
            let mut seen = std::collections::BTreeSet::new();
            let mut values = list.unwrap_or_default();
            values.retain(|value| seen.insert(value.clone()));
            filters.insert(key, values);
        }
        Self(filters).bounded()
    }

    fn bounded(self) -> Result<Self, FilterError> {
        let mut lists = self.0.iter();
        match lists.find(|(_, values)| values.len() > MAX_VALUES) {
            Some((key, values)) => Err(FilterError::TooMany {
                key: key.clone(),
                count: values.len(),
            }),
            None => Ok(self),
        }
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

/// One value of a `label` or `label!` filter.
struct Condition {
    /// What the label must have; any value does for `None`.
    value: Option<String>,
    /// Whether the opposite is asked for.
    negated: bool,
}

impl Condition {
    /// Whether a label with this value, or the lack of it, will do.
    fn admits(&self, found: Option<&str>) -> bool {
        let holds = match (found, &self.value) {
            (found, None) => found.is_some(),
            (found, Some(wanted)) => found == Some(wanted),
        };
        holds != self.negated
    }
}

/// The values of `label` and `label!` together, read once for any number of images. All must hold: `k` (present),
/// `k=v` (equal), `k!=v` (different or absent), `k!` (absent); under `label!` the opposite of each.
pub struct LabelFilter {
    conditions: HashMap<String, Vec<Condition>>,
    /// Keys without which no image passes.
    required: usize,
}

impl LabelFilter {
    /// Reads the values of `label` and those of `label!`.
    pub fn new(with: &[String], without: &[String]) -> Self {
        let mut conditions: HashMap<String, Vec<Condition>> = HashMap::new();
        let with = with.iter().map(|text| (text, false));
        for (text, negated) in with.chain(without.iter().map(|text| (text, true))) {
            let (key, value) = match text.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => (text.as_str(), None),
            };
            let (key, negated) = match key.strip_suffix('!') {
                Some(key) => (key, !negated),
                None => (key, negated),
            };
            let of_key = conditions.entry(key.to_owned()).or_default();
            of_key.push(Condition { value, negated });
        }
        let needs_it = |list: &&Vec<Condition>| !list.iter().all(|it| it.admits(None));
        Self {
            required: conditions.values().filter(needs_it).count(),
            conditions,
        }
    }

    /// Whether there is nothing to hold.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether these labels, each key once, satisfy every condition. Each label is looked up, so the number of
    /// conditions does not matter.
    pub fn admits<'a>(&self, labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
        let mut required = 0;
        for (key, value) in labels {
            let Some(conditions) = self.conditions.get(key) else {
                continue;
            };
            if !conditions.iter().all(|it| it.admits(Some(value))) {
                return false;
            }
            required += usize::from(!conditions.iter().all(|it| it.admits(None)));
        }
        required == self.required
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
    fn json_is_read_as_go_reads_it() {
        for (json, expected) in [
            (r#"{"k":["a"],"k":["b"]}"#, &["b"][..]),
            (r#"{"k":{"a":true},"k":{"b":true}}"#, &["b"]),
            (r#"{"k":{"a":null}}"#, &["a"]),
            (r#"{"k":["a",null]}"#, &["a", ""]),
            (r#"{"k":["\ud800"]}"#, &["\u{fffd}"]),
            (r#"{"k":["a"],"k":null}"#, &[]),
            (r#"{"K":["a"]}"#, &[]),
        ] {
            assert_eq!(parse(json).get("k"), expected, "{json}");
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
    fn the_number_of_values_is_bounded() {
        let list = |count: usize| {
            let values: Vec<String> = (0..count).map(|n| format!("\"{n}\"")).collect();
            format!("[{}]", values.join(","))
        };
        let map = |count: usize| {
            let values: Vec<String> = (0..count).map(|n| format!("\"{n}\":true")).collect();
            format!("{{{}}}", values.join(","))
        };
        for spelled in [list, map] {
            let filters = |count| Filters::parse(&format!("{{\"k\":{}}}", spelled(count)));
            assert_eq!(filters(MAX_VALUES).unwrap().get("k").len(), MAX_VALUES);
            let text = filters(MAX_VALUES + 1).unwrap_err().to_string();
            assert_eq!(text, "filter 'k' has 1025 values, the limit is 1024");
        }
    }

    #[test]
    fn label_conditions() {
        let labels = [("k", "v"), ("e", ""), ("q", "a=b")];
        for (condition, matches) in [
            ("k", true),
            ("x", false),
            ("k=v", true),
            ("k=w", false),
            ("k=", false),
            ("e=", true),
            ("e", true),
            ("q=a=b", true),
            ("k!=w", true),
            ("k!=v", false),
            ("k!", false),
            ("x!", true),
            ("x=v", false),
            // Different is also what is not there, as moby has it since 2026 (#52338).
            ("x!=v", true),
        ] {
            let condition = [condition.to_owned()];
            let with = LabelFilter::new(&condition, &[]);
            let without = LabelFilter::new(&[], &condition);
            assert_eq!(with.admits(labels), matches, "{condition:?}");
            assert_eq!(without.admits(labels), !matches, "without {condition:?}");
        }
    }

    #[test]
    fn every_label_condition_must_hold() {
        let labels = [("a", "1"), ("b", "2")];
        let owned = |list: &[&str]| -> Vec<String> { list.iter().map(|&it| it.into()).collect() };
        for (with, without, expected) in [
            (&["a", "b=2"][..], &[][..], true),
            (&["a", "c"], &[], false),
            (&["a", "a=1", "a!=2"], &[], true),
            (&["a=1", "a=2"], &[], false),
            (&["a"], &["c", "b=3"], true),
            (&["a"], &["b"], false),
            (&["c!"], &["d", "e=1"], true),
            (&[], &[], true),
        ] {
            let filter = LabelFilter::new(&owned(with), &owned(without));
            assert_eq!(filter.admits(labels), expected, "{with:?} {without:?}");
        }
        assert!(LabelFilter::new(&[], &[]).is_empty());
    }
}
