//! Points in time and durations in the spellings Docker takes and gives: RFC 3339, Go durations, `until`.
//!
//! Knows no clock and no time zones: the caller says what time it is, and times without zone are UTC.

use time::{Date, Month, OffsetDateTime};

use crate::quote::quote;

mod layout;

use layout::{Layout, Zone};

const NANOS_PER_SEC: i64 = 1_000_000_000;

/// Unix seconds of 0000-01-01 and of the last second of 9999: what four-digit years can say.
const RFC3339_RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// Why a timestamp cannot be read: the reason dockerd appends to `invalid value for 'until' filter: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// A text that is neither duration nor date nor number.
    #[error("failed to parse value as time or duration: {}", quote(.0))]
    Unrecognized(String),
    /// A date that stops following its layout.
    #[error(
        "parsing time {} as {}: cannot parse {} as {}",
        quote(.value), quote(.layout), quote(.rest), quote(.element)
    )]
    Syntax {
        /// The whole value.
        value: String,
        /// The layout tried, in Go's reference time.
        layout: String,
        /// Where it stops.
        rest: String,
        /// The element of the layout wanted there.
        element: &'static str,
    },
    /// A date with something behind it.
    #[error("parsing time {}: extra text: {}", quote(.value), quote(.rest))]
    Extra {
        /// The whole value.
        value: String,
        /// What is too much.
        rest: String,
    },
    /// A date with a number that does not exist, such as month 13.
    #[error("parsing time {}: {field} out of range", quote(.value))]
    Range {
        /// The whole value.
        value: String,
        /// Which number.
        field: &'static str,
    },
}

/// Reads an RFC 3339 time with any zone: Unix seconds, and nanoseconds (below 10⁹; further digits are cut).
pub fn parse_rfc3339(text: &str) -> Option<(i64, u32)> {
    // Go's JSON reader is stricter than its time parser in these two.
    if text.contains(',') || text.as_bytes().get(13) != Some(&b':') {
        return None;
    }
    Layout::time(3, Zone::Given).parse(text).ok()
}

/// Writes a time as Go's `RFC3339Nano` in UTC: `2024-01-02T03:04:05.6Z`, without trailing zeros.
///
/// Seconds outside the years 0000 to 9999 and nanoseconds above 999 999 999 are moved to the nearest bound.
pub fn format_rfc3339_nano(secs: i64, nanos: u32) -> String {
    let secs = secs.clamp(*RFC3339_RANGE.start(), *RFC3339_RANGE.end());
    let time = OffsetDateTime::from_unix_timestamp(secs).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second()
    );
    if nanos > 0 {
        let fraction = format!(".{:09}", nanos.min(999_999_999));
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push('Z');
    text
}

/// Reads a Go duration such as `1h30m`, `1.5s`, `-2µs` or `0`: nanoseconds, `None` if malformed or too long.
pub fn parse_go_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (whole, after) = split_digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => split_digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i64 = if whole.is_empty() {
            0
        } else {
            whole.parse().ok()?
        };
        // An hour has 13 digits of nanoseconds; 18 keep the product far below the type's bound.
        let fraction = fraction.get(..18).unwrap_or(fraction);
        let scale = fraction.bytes().fold(1, |scale: i128, _| scale * 10);
        let part = fraction
            .parse::<i128>()
            .map_or(0, |digits| digits * unit / scale);
        total += i128::from(whole) * unit + part;
        if total > -i128::from(i64::MIN) {
            return None;
        }
        rest = after;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Reads the value of an `until` filter: Unix seconds, fractions cut.
///
/// A duration counts back from `now_secs`; then come dates, with or without zone (then UTC), and Unix
/// seconds with an optional fraction.
///
/// # Errors
/// [`TimestampError`], its text being the reason to show.
pub fn parse_until(value: &str, now_secs: i64) -> Result<i64, TimestampError> {
    if value != "0"
        && let Some(nanos) = parse_go_duration(value)
    {
        let now = i128::from(now_secs) * i128::from(NANOS_PER_SEC);
        let then = (now - i128::from(nanos)).div_euclid(i128::from(NANOS_PER_SEC));
        return i64::try_from(then).map_err(|_| TimestampError::Unrecognized(value.to_owned()));
    }
    match layout_of(value).parse(value) {
        Ok((secs, _)) => Ok(secs),
        // With a hyphen it was meant as a date.
        Err(error) if value.contains('-') => Err(error),
        Err(_) => unix_seconds(value).ok_or_else(|| TimestampError::Unrecognized(value.to_owned())),
    }
}

/// Picks the layout by the punctuation in the value, as dockerd does.
fn layout_of(value: &str) -> Layout {
    let zulu = value.contains(['z', 'Z']);
    let zone = if zulu || value.contains('+') || value.matches('-').count() == 3 {
        Zone::Given
    } else {
        Zone::Utc
    };
    if value.contains('.') {
        return Layout::fraction(zone);
    }
    if !value.contains('T') {
        return Layout::date(zone);
    }
    let colons = value.matches(':').count();
    // A numeric zone has a colon of its own.
    let in_zone = usize::from(zone == Zone::Given && !zulu);
    Layout::time(colons.saturating_sub(in_zone) + 1, zone)
}

/// `seconds[.fraction]`; the fraction is only checked.
fn unix_seconds(value: &str) -> Option<i64> {
    let (secs, fraction) = value.split_once('.').unwrap_or((value, "0"));
    fraction.parse::<i64>().ok()?;
    secs.parse().ok()
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    text.split_at(end)
}

/// Days from 1970-01-01; `None` if the month has no such day.
fn days_since_epoch(year: i32, month: u8, day: u8) -> Option<i64> {
    /// The Julian day of 1970-01-01.
    const EPOCH: i64 = 2_440_588;

    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    Some(i64::from(date.to_julian_day()) - EPOCH)
}

#[cfg(test)]
mod tests;
