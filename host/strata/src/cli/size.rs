//! Byte counts, printed and read.

use std::fmt;
use std::str::FromStr;

const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];

/// A size as docker's tables print it: decimal units, three significant digits, `12.8MB`.
pub(crate) fn short(bytes: u64) -> String {
    significant(bytes, 3)
}

/// A size as docker prints totals: four significant digits, `12.35MB`.
pub(crate) fn total(bytes: u64) -> String {
    significant(bytes, 4)
}

/// Rounds to `digits` significant ones, in the largest unit that leaves at least 1 before the
/// point, without trailing zeros.
fn significant(bytes: u64, digits: usize) -> String {
    let mut value = bytes as f64;
    let mut unit = 0;
    loop {
        let whole = if value < 10.0 {
            1
        } else if value < 100.0 {
            2
        } else {
            3
        };
        let text = format!("{value:.*}", digits.saturating_sub(whole));
        let rounded: f64 = text.parse().unwrap_or(value);
        // 999,950 bytes are 1MB, not 1000kB: the unit is chosen after rounding.
        if rounded < 1000.0 || unit + 1 == DECIMAL.len() {
            let text = match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.'),
                false => &text,
            };
            return format!("{text}{}", DECIMAL[unit]);
        }
        value /= 1000.0;
        unit += 1;
    }
}

/// A number of bytes as people write it in settings: `1073741824`, `512MiB`, `1GB`. A letter
/// alone is binary, as docker reads it: `512m` is `512MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByteCount(pub(crate) u64);

impl FromStr for ByteCount {
    type Err = NotBytes;

    fn from_str(text: &str) -> Result<Self, NotBytes> {
        let error = || NotBytes(text.into());
        let digits = text.trim();
        let end = digits
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(digits.len());
        let (number, unit) = digits.split_at(end);
        let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "mb" => 1000 * 1000,
            "gb" => 1000 * 1000 * 1000,
            "k" | "kib" => 1 << 10,
            "m" | "mib" => 1 << 20,
            "g" | "gib" => 1 << 30,
            _ => return Err(error()),
        };
        let number: u64 = number.parse().map_err(|_| error())?;
        let bytes = number.checked_mul(factor).filter(|bytes| *bytes > 0);
        bytes.map(ByteCount).ok_or_else(error)
    }
}

/// The text is no number of bytes.
#[derive(Debug)]
pub(crate) struct NotBytes(String);

impl fmt::Display for NotBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not a number of bytes, such as 512MiB", self.0)
    }
}

impl std::error::Error for NotBytes {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_printed_as_docker_prints_them() {
        for (bytes, short_text, total_text) in [
            (0, "0B", "0B"),
            (7, "7B", "7B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1kB"),
            (1234, "1.23kB", "1.234kB"),
            (12_830_000, "12.8MB", "12.83MB"),
            (12_345_678, "12.3MB", "12.35MB"),
            (117_000_000, "117MB", "117MB"),
            (999_500, "1MB", "999.5kB"),
            (999_960, "1MB", "1MB"),
            (1_500_000_000, "1.5GB", "1.5GB"),
            (u64::MAX, "18.4EB", "18.45EB"),
        ] {
            assert_eq!(short(bytes), short_text, "{bytes}");
            assert_eq!(total(bytes), total_text, "{bytes}");
        }
    }

    #[test]
    fn byte_counts_know_both_families_of_units() {
        for (text, bytes) in [
            ("1", 1),
            ("1024", 1024),
            ("512MiB", 512 << 20),
            ("512m", 512 << 20),
            ("1 GB", 1_000_000_000),
            ("1g", 1 << 30),
            ("8kb", 8000),
        ] {
            assert_eq!(
                text.parse::<ByteCount>().unwrap(),
                ByteCount(bytes),
                "{text}"
            );
        }
        for text in ["", "MiB", "-1", "1.5GB", "1XB", "0", "99999999999999GiB"] {
            assert!(text.parse::<ByteCount>().is_err(), "{text}");
        }
    }
}
