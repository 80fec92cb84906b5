//! Points in time as filters write them.

use anyhow::Context as _;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, PrimitiveDateTime};

/// Reads what docker's `until` reads: a duration before `now` (`24h`, `1h30m`), seconds since 1970,
/// RFC 3339, or a date with or without a time, which is UTC here. Both results and `now` are
/// seconds since 1970.
///
/// # Errors
///
/// If it is none of these.
pub(crate) fn parse(text: &str, now: i64) -> anyhow::Result<i64> {
    let seconds = duration(text).map(|seconds| now.saturating_sub(seconds));
    let instant = seconds.or_else(|| unix(text)).or_else(|| calendar(text));
    instant.with_context(|| {
        format!("`{text}` is neither a duration such as 24h nor a time such as 2026-01-31")
    })
}

fn unix(text: &str) -> Option<i64> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    whole.parse().ok()
}

fn calendar(text: &str) -> Option<i64> {
    if let Ok(instant) = OffsetDateTime::parse(text, &Rfc3339) {
        return Some(instant.unix_timestamp());
    }
    if let Ok(date) = Date::parse(text, format_description!("[year]-[month]-[day]")) {
        return Some(date.midnight().assume_utc().unix_timestamp());
    }
    let forms = [
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond]"),
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]"),
        format_description!("[year]-[month]-[day]T[hour]:[minute]"),
    ];
    let parsed = forms
        .iter()
        .find_map(|form| PrimitiveDateTime::parse(text, form).ok());
    parsed.map(|instant| instant.assume_utc().unix_timestamp())
}

/// Seconds of a duration as Go writes it: numbers with units, largest first or not.
fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Some(if negative {
        -seconds as i64
    } else {
        seconds as i64
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    #[test]
    fn every_spelling_of_until_is_read() {
        for (text, instant) in [
            ("24h", NOW - 86_400),
            ("1h30m", NOW - 5400),
            ("10m", NOW - 600),
            ("1.5h", NOW - 5400),
            ("-1h", NOW + 3600),
            ("1500ms", NOW - 1),
            ("1769817600", 1_769_817_600),
            ("1769817600.25", 1_769_817_600),
            ("2026-01-31", 1_769_817_600),
            ("2026-01-31T12:00", 1_769_860_800),
            ("2026-01-31T12:00:00", 1_769_860_800),
            ("2026-01-31T12:00:00.5", 1_769_860_800),
            ("2026-01-31T12:00:00Z", 1_769_860_800),
            ("2026-01-31T14:00:00+02:00", 1_769_860_800),
        ] {
            assert_eq!(parse(text, NOW).unwrap(), instant, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "h", "-", "24", "1d", "yesterday", "2026-13-01", "1.2.3"] {
            // A bare number is seconds since 1970.
            assert_eq!(parse(text, NOW).is_err(), text != "24", "{text}");
        }
    }
}
