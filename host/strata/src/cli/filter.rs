//! `--filter KEY=VALUE`, as docker spells it.

use anyhow::{Context as _, bail};
use strata::types::Filters;
use strata_oci::timestamp::parse_until;

use super::Usage;

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
                let Ok(until) = parse_until(&value, now) else {
                    bail!(
                        "filter `{text}`: `{value}` is neither a duration such as 24h nor a time such as 2026-01-31"
                    );
                };
                filters.until = Some(until);
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

    const NOW: i64 = 1_800_000_000;

    fn until(text: &str) -> Result<i64, Usage> {
        let filters = parse(&[format!("until={text}")], PRUNING, NOW)?;
        Ok(filters.until.unwrap())
    }

    #[test]
    fn every_spelling_of_until_is_read() {
        for (text, instant) in [
            ("24h", NOW - 86_400),
            ("1h30m", NOW - 5400),
            ("10m", NOW - 600),
            ("1.5h", NOW - 5400),
            ("-1h", NOW + 3600),
            ("1500ms", NOW - 2),
            ("1769817600", 1_769_817_600),
            ("1769817600.25", 1_769_817_600),
            ("2026-01-31", 1_769_817_600),
            ("2026-01-31T12:00", 1_769_860_800),
            ("2026-01-31T12:00:00", 1_769_860_800),
            ("2026-01-31T12:00:00.5", 1_769_860_800),
            ("2026-01-31T12:00:00Z", 1_769_860_800),
            ("2026-01-31T14:00:00+02:00", 1_769_860_800),
        ] {
            assert_eq!(until(text).unwrap(), instant, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "h", "-", "24", "1d", "yesterday", "2026-13-01", "1.2.3"] {
            // A bare number is seconds since 1970.
            assert_eq!(until(text).is_err(), text != "24", "{text}");
        }
    }
}
