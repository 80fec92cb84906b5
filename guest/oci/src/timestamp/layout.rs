//! Dates by Go's layouts, with Go's error texts: they reach the user through the `until` filter.

use super::{TimestampError, days_since_epoch};

/// Whether a date carries its zone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// `Z` or `±hh:mm` must follow.
    Given,
    /// Nothing follows; the date is in UTC.
    Utc,
}

/// A layout: how much of date and time it has.
pub(super) struct Layout {
    /// How many of hour, minute and second follow the date; 0 means no `T` either.
    fields: usize,
    /// Whether the layout itself names a fraction (after the seconds any layout takes one).
    fraction: bool,
    zone: Zone,
}

impl Layout {
    /// `2006-01-02`
    pub(super) fn date(zone: Zone) -> Self {
        Self {
            fields: 0,
            fraction: false,
            zone,
        }
    }

    /// `2006-01-02T15`, with `:04` from two fields and `:05` from three on.
    pub(super) fn time(fields: usize, zone: Zone) -> Self {
        Self {
            fields: fields.min(3),
            fraction: false,
            zone,
        }
    }

    /// `2006-01-02T15:04:05.999999999`
    pub(super) fn fraction(zone: Zone) -> Self {
        Self {
            fields: 3,
            fraction: true,
            zone,
        }
    }

    /// Unix seconds and nanoseconds of `value`.
    pub(super) fn parse(&self, value: &str) -> Result<(i64, u32), TimestampError> {
        let mut cursor = Cursor {
            layout: self,
            value,
            rest: value,
        };
        let year = cursor.digits(4, "2006")?;
        cursor.literal("-")?;
        let month = cursor.number("01", 1..=12, "month")?;
        cursor.literal("-")?;
        // Whether the month has such a day is asked last, as in Go.
        let day = cursor.digits(2, "02")?;
        let mut time = [0; 3];
        let wanted = [
            ("T", "15", 23, "hour"),
            (":", "04", 59, "minute"),
            (":", "05", 59, "second"),
        ];
        for (slot, (before, element, last, field)) in time.iter_mut().zip(wanted).take(self.fields)
        {
            cursor.literal(before)?;
            *slot = cursor.number(element, 0..=last, field)?;
        }
        let nanos = if self.fields == 3 {
            cursor.fraction()
        } else {
            0
        };
        let offset = match self.zone {
            Zone::Given => cursor.zone()?,
            Zone::Utc => 0,
        };
        if !cursor.rest.is_empty() {
            return Err(TimestampError::Extra {
                value: value.to_owned(),
                rest: cursor.rest.to_owned(),
            });
        }
        let [hour, minute, second] = time.map(i64::from);
        // Both fit their types: four digits, and two that passed 1..=12 or are checked now.
        let days = u8::try_from(day)
            .ok()
            .zip(u8::try_from(month).ok())
            .and_then(|(day, month)| days_since_epoch(year.into(), month, day))
            .ok_or_else(|| cursor.out_of_range("day"))?;
        let secs = days * 86_400 + hour * 3_600 + minute * 60 + second - offset;
        Ok((secs, nanos))
    }

    /// The layout in Go's reference time.
    fn name(&self) -> String {
        let time = ["", "T15", "T15:04", "T15:04:05"];
        let time = time.get(self.fields).copied().unwrap_or_default();
        let fraction = if self.fraction { ".999999999" } else { "" };
        let zone = match self.zone {
            Zone::Given => "Z07:00",
            Zone::Utc => "",
        };
        format!("2006-01-02{time}{fraction}{zone}")
    }
}

struct Cursor<'a> {
    layout: &'a Layout,
    value: &'a str,
    rest: &'a str,
}

impl Cursor<'_> {
    fn literal(&mut self, text: &'static str) -> Result<(), TimestampError> {
        match self.rest.strip_prefix(text) {
            Some(rest) => self.rest = rest,
            None => return Err(self.unexpected(self.rest, text)),
        }
        Ok(())
    }

    /// Exactly `count` digits, at most four.
    fn digits(&mut self, count: usize, element: &'static str) -> Result<u16, TimestampError> {
        let digits = self
            .rest
            .get(..count)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok());
        let number = number.ok_or_else(|| self.unexpected(self.rest, element))?;
        self.rest = self.rest.get(count..).unwrap_or_default();
        Ok(number)
    }

    /// Two digits within `range`; an hour may have one.
    fn number(
        &mut self,
        element: &'static str,
        range: std::ops::RangeInclusive<u16>,
        field: &'static str,
    ) -> Result<u16, TimestampError> {
        let digit = |at: usize| self.rest.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let count = if element == "15" && digit(0) && !digit(1) {
            1
        } else {
            2
        };
        let number = self.digits(count, element)?;
        if !range.contains(&number) {
            return Err(self.out_of_range(field));
        }
        Ok(number)
    }

    /// Nanoseconds of an optional `.123`; Go takes a comma too, and cuts after nine digits.
    fn fraction(&mut self) -> u32 {
        let Some(rest) = self.rest.strip_prefix(['.', ',']) else {
            return 0;
        };
        let end = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        if end == 0 {
            return 0;
        }
        let (digits, rest) = rest.split_at(end);
        self.rest = rest;
        let mut nanos = 0;
        for place in 0..9 {
            let digit = digits.as_bytes().get(place).map_or(0, |b| b - b'0');
            nanos = nanos * 10 + u32::from(digit);
        }
        nanos
    }

    /// Seconds east of UTC.
    fn zone(&mut self) -> Result<i64, TimestampError> {
        const ELEMENT: &str = "Z07:00";

        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let start = self.rest;
        let sign = match start.as_bytes() {
            [b'+', _, _, b':', _, _, ..] => 1,
            [b'-', _, _, b':', _, _, ..] => -1,
            _ => return Err(self.unexpected(start, ELEMENT)),
        };
        let number = |at| start.get(at).and_then(two_digits);
        let (Some(hours), Some(minutes)) = (number(1..3), number(4..6)) else {
            return Err(self.unexpected(start, ELEMENT));
        };
        self.rest = start.get(6..).unwrap_or_default();
        if hours > 24 {
            return Err(self.out_of_range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(self.out_of_range("time zone offset minute"));
        }
        Ok(sign * (hours * 3_600 + minutes * 60))
    }

    fn unexpected(&self, rest: &str, element: &'static str) -> TimestampError {
        TimestampError::Syntax {
            value: self.value.to_owned(),
            layout: self.layout.name(),
            rest: rest.to_owned(),
            element,
        }
    }

    fn out_of_range(&self, field: &'static str) -> TimestampError {
        TimestampError::Range {
            value: self.value.to_owned(),
            field,
        }
    }
}

fn two_digits(text: &str) -> Option<i64> {
    let all_digits = text.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}
