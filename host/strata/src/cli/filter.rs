//! `--filter KEY=VALUE`, as docker spells it.

use anyhow::{Context as _, bail};
use strata::types::Filters;

use super::{Usage, instant};

/// Keys that a listing understands.
pub(crate) const LISTING: &[&str] = &[
    "reference",
    "label",
    "label!",
    "dangling",
    "before",
    "since",
    "until",
];
/// Keys that a prune understands.
pub(crate) const PRUNING: &[&str] = &["label", "label!", "dangling", "until"];

/// Filters that every image passes.
pub(crate) fn none() -> Filters {
    Filters {
        references: Vec::new(),
        labels: Vec::new(),
        without_labels: Vec::new(),
        dangling: None,
        before: Vec::new(),
        since: Vec::new(),
        until: None,
    }
}

/// Reads the values of every `--filter`.
///
/// # Errors
///
/// If a key is not in `allowed`, a value does not parse, or two contradict each other.
pub(crate) fn parse(texts: &[String], allowed: &[&str], now: i64) -> Result<Filters, Usage> {
    read(texts, allowed, now).map_err(Usage)
}

fn read(texts: &[String], allowed: &[&str], now: i64) -> anyhow::Result<Filters> {
    let mut filters = none();
    for text in texts {
        let (key, value) = text
            .split_once('=')
            .with_context(|| format!("filter `{text}` is not KEY=VALUE"))?;
        let key = key.trim().to_ascii_lowercase();
        if !allowed.contains(&key.as_str()) {
            bail!("unknown filter `{key}`; known here: {}", allowed.join(", "));
        }
        let value = value.trim().to_owned();
        match key.as_str() {
            "reference" => filters.references.push(value),
            "label" => filters.labels.push(value),
            "label!" => filters.without_labels.push(value),
            "before" => filters.before.push(value),
            "since" => filters.since.push(value),
            "dangling" => {
                let wanted = boolean(&value)
                    .with_context(|| format!("filter `{text}`: neither true nor false"))?;
                if filters.dangling.is_some_and(|earlier| earlier != wanted) {
                    bail!("filter `dangling` is both true and false");
                }
                filters.dangling = Some(wanted);
            }
            _ => {
                if filters.until.is_some() {
                    bail!("filter `until` is given more than once");
                }
                let until = instant::parse(&value, now);
                filters.until = Some(until.with_context(|| format!("filter `{text}`"))?);
            }
        }
    }
    Ok(filters)
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "true" => Some(true),
        "0" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(texts: &[&str]) -> Result<Filters, Usage> {
        let texts: Vec<_> = texts.iter().map(|&text| text.to_owned()).collect();
        parse(&texts, LISTING, 1_800_000_000)
    }

    #[test]
    fn each_key_has_its_field() {
        let filters = listing(&[
            "reference=alpine*",
            "reference=busybox",
            "label=team=web",
            "label!=keep",
            "Before=a:1",
            "since=b:2",
            "dangling=1",
            "until=1h",
        ])
        .unwrap();
        assert_eq!(filters.references, ["alpine*", "busybox"]);
        assert_eq!(filters.labels, ["team=web"]);
        assert_eq!(filters.without_labels, ["keep"]);
        assert_eq!(filters.before, ["a:1"]);
        assert_eq!(filters.since, ["b:2"]);
        assert_eq!(filters.dangling, Some(true));
        assert_eq!(filters.until, Some(1_800_000_000 - 3600));
    }

    #[test]
    fn nonsense_is_refused_with_its_text() {
        for (texts, word) in [
            (&["dangling"][..], "KEY=VALUE"),
            (&["colour=red"], "unknown filter `colour`"),
            (&["dangling=maybe"], "dangling=maybe"),
            (&["dangling=true", "dangling=false"], "both"),
            (&["until=1h", "until=2h"], "more than once"),
            (&["until=soon"], "soon"),
        ] {
            let message = format!("{:#}", listing(texts).unwrap_err());
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn a_prune_does_not_look_at_names() {
        let error = parse(&["reference=a".into()], PRUNING, 0).unwrap_err();
        assert!(error.to_string().contains("label, label!"), "{error}");
    }
}
