//! The `filters` of a container listing: what the engine decides, and what is certain of containers that
//! never ran.

use strata_engine::{ContainerFilters, ContainerSummary};
use strata_oci::{
    filter::{FilterError, Filters},
    json::Members,
};

use super::networks::Networks;
use crate::{failure::Failure, query};

const KEYS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const STATES: [&str; 7] = [
    "created",
    "running",
    "paused",
    "restarting",
    "removing",
    "exited",
    "dead",
];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

/// Which containers to list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ListFilters {
    /// What the engine decides.
    pub(super) engine: ContainerFilters,
    /// One must match; the engine only knows their texts.
    names: Vec<Name>,
    /// One must be joined.
    networks: Option<Vec<String>>,
    /// Asks for what only containers have that run or ran.
    excludes_all: bool,
}

/// A name as it is asked for. dockerd takes a regular expression; of that, anchors are understood.
#[derive(Debug, PartialEq, Eq)]
struct Name {
    text: String,
    is_start: bool,
    is_end: bool,
}

impl ListFilters {
    /// Reads the parameter.
    ///
    /// # Errors
    /// 400, in dockerd's words.
    pub(super) fn read(json: &str) -> Result<Self, Failure> {
        let invalid = |error: FilterError| Failure::invalid(error.to_string());
        let given = Filters::parse(json).map_err(invalid)?;
        given.validate(&KEYS).map_err(invalid)?;
        for code in given.get("exited") {
            query::integer(code).map_err(|error| {
                Failure::invalid(format!("invalid filter 'exited={code}': {error}"))
            })?;
        }
        one_of(&given, "status", "state", &STATES)?;
        one_of(&given, "health", "health", &HEALTH)?;
        let is_task = given.boolean("is-task").map_err(invalid)?;
        let health = given.get("health");
        let is_asked = |key| !given.get(key).is_empty();
        let excludes_all = is_asked("exited")
            || is_asked("publish")
            || is_asked("expose")
            || given.contains("volume")
            || is_task == Some(true)
            || !health.is_empty() && !health.iter().any(|health| health == "none");
        let names: Vec<Name> = given
            .get("name")
            .iter()
            .map(|text| Name::new(text))
            .collect();
        let all = |key| given.get(key).to_vec();
        Ok(Self {
            engine: ContainerFilters {
                ids: all("id"),
                names: names.iter().map(|name| name.text.clone()).collect(),
                labels: all("label"),
                ancestors: all("ancestor"),
                statuses: all("status"),
                before: all("before"),
                since: all("since"),
            },
            names,
            networks: given.contains("network").then(|| all("network")),
            excludes_all,
        })
    }

    /// Whether the engine decides alone, so that it may count.
    pub(super) fn is_engines(&self) -> bool {
        let plain = |name: &Name| !name.is_start && !name.is_end;
        !self.excludes_all && self.networks.is_none() && self.names.iter().all(plain)
    }

    /// Whether to list a container the engine lets through.
    pub(super) fn matches(&self, container: &ContainerSummary) -> bool {
        let is_named =
            || self.names.is_empty() || self.names.iter().any(|name| name.matches(&container.name));
        let joins = |wanted: &Vec<String>| {
            let host = container.host_config.as_deref();
            let host = host.map(Members::of).unwrap_or_default();
            let networks = Networks::new(&host, &Members::default());
            wanted.iter().any(|name| networks.contains(name))
        };
        !self.excludes_all && is_named() && self.networks.as_ref().is_none_or(joins)
    }
}

impl Name {
    fn new(text: &str) -> Self {
        let anchored = text.strip_prefix('^');
        let rest = anchored.unwrap_or(text);
        // Names begin with a slash there, which people write, leave out, or leave open.
        let slashed = rest.strip_prefix("/?").or(rest.strip_prefix('/'));
        let is_start = anchored.is_some() || rest.starts_with('/') && !rest.starts_with("/?");
        let rest = slashed.unwrap_or(rest);
        let ended = rest.strip_suffix('$');
        Self {
            text: ended.unwrap_or(rest).to_owned(),
            is_start,
            is_end: ended.is_some(),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match (self.is_start, self.is_end) {
            (true, true) => name == self.text,
            (true, false) => name.starts_with(&self.text),
            (false, true) => name.ends_with(&self.text),
            (false, false) => name.contains(&self.text),
        }
    }
}

fn one_of(given: &Filters, key: &str, what: &str, known: &[&str]) -> Result<(), Failure> {
    let mut values = given.get(key).iter();
    match values.find(|value| !known.contains(&value.as_str())) {
        None => Ok(()),
        Some(value) => Err(Failure::invalid(format!(
            "invalid filter '{key}={value}': invalid value for {what} ({value}): must be one of {}",
            known.join(", ")
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_anchored() {
        for (pattern, matching, others) in [
            ("eb", &["web", "eb"][..], &["we"][..]),
            ("^web", &["web", "web-1"], &["my-web"]),
            ("^/web", &["web", "web-1"], &["my-web"]),
            ("/web", &["web-1"], &["my-web"]),
            ("web$", &["web", "my-web"], &["web-1"]),
            ("^web$", &["web"], &["web-1", "my-web"]),
            ("^/web$", &["web"], &["web-1", "my-web"]),
            ("^/?web$", &["web"], &["web-1", "my-web"]),
            ("/?web", &["my-web"], &["we"]),
            ("^", &["web"], &[]),
        ] {
            let name = Name::new(pattern);
            for text in matching {
                assert!(name.matches(text), "{pattern} {text}");
                assert!(text.contains(&name.text), "the engine lets {text} through");
            }
            for text in others {
                assert!(!name.matches(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn the_engine_gets_what_it_decides() {
        let json = r#"{"id":["a"],"name":["^/n$"],"label":["k=v"],"ancestor":["i"],"status":["exited"],"before":["b"],"since":["s"]}"#;
        let filters = ListFilters::read(json).unwrap();
        let one = |text: &str| vec![text.to_owned()];
        let expected = ContainerFilters {
            ids: one("a"),
            names: one("n"),
            labels: one("k=v"),
            ancestors: one("i"),
            statuses: one("exited"),
            before: one("b"),
            since: one("s"),
        };
        assert_eq!(filters.engine, expected);
        assert!(!filters.is_engines(), "it does not know anchors");
        assert!(ListFilters::read(r#"{"name":["n"]}"#).unwrap().is_engines());
        assert!(
            !ListFilters::read(r#"{"network":["n"]}"#)
                .unwrap()
                .is_engines()
        );
    }

    #[test]
    fn what_needs_a_life_excludes_all() {
        for (json, expected) in [
            ("", false),
            (r#"{"exited":["0"]}"#, true),
            (r#"{"exited":[]}"#, false),
            (r#"{"publish":["80"]}"#, true),
            (r#"{"expose":["80/tcp"]}"#, true),
            (r#"{"volume":["v"]}"#, true),
            (r#"{"is-task":["true"]}"#, true),
            (r#"{"is-task":["false"]}"#, false),
            (r#"{"health":["healthy"]}"#, true),
            (r#"{"health":["healthy","none"]}"#, false),
            (r#"{"isolation":["hyperv"]}"#, false),
        ] {
            let filters = ListFilters::read(json).unwrap();
            assert_eq!(filters.excludes_all, expected, "{json}");
        }
    }

    #[test]
    fn refusals_read_like_dockerds() {
        for (json, message) in [
            ("{", "invalid filter"),
            (r#"{"x":["y"]}"#, "invalid filter 'x'"),
            (r#"{"label!":["y"]}"#, "invalid filter 'label!'"),
            (
                r#"{"exited":["x"]}"#,
                "invalid filter 'exited=x': strconv.Atoi: parsing \"x\": invalid syntax",
            ),
            (
                r#"{"status":["up"]}"#,
                "invalid filter 'status=up': invalid value for state (up): must be one of created, running, paused, restarting, removing, exited, dead",
            ),
            (
                r#"{"health":["ill"]}"#,
                "invalid filter 'health=ill': invalid value for health (ill): must be one of none, starting, healthy, unhealthy",
            ),
            (r#"{"is-task":["x"]}"#, "invalid filter 'is-task=[x]'"),
        ] {
            let failure = ListFilters::read(json).unwrap_err();
            assert_eq!(failure, Failure::invalid(message), "{json}");
        }
    }
}
