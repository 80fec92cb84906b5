//! Parameters, read as dockerd reads them.

use std::num::{IntErrorKind, ParseIntError};

use strata_http::Query;

/// The boolean `key`, or `default` if it is absent: false if it is one of five words, of which one is
/// empty, true for anything else.
pub(crate) fn boolean(query: &Query, key: &'static str, default: bool) -> bool {
    let Some(value) = query.all(key).next() else {
        return default;
    };
    let value = value.trim().to_lowercase();
    !matches!(value.as_str(), "" | "0" | "no" | "false" | "none")
}

/// Reads a whole number as Go's `Atoi`.
///
/// # Errors
/// Go's text.
pub(crate) fn integer(text: &str) -> Result<i64, String> {
    text.parse().map_err(|error: ParseIntError| {
        let reason = match error.kind() {
            IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        format!("strconv.Atoi: parsing \"{text}\": {reason}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_five_words_are_false() {
        for (text, expected) in [
            ("", false),
            ("all", false),
            ("all=", false),
            ("all=0", false),
            ("all=no", false),
            ("all=False", false),
            ("all=%20NONE+", false),
            ("all=1", true),
            ("all=true", true),
            ("all=banana", true),
            ("all=0&all=1", false),
        ] {
            let query = Query::parse(text).unwrap();
            assert_eq!(boolean(&query, "all", false), expected, "{text}");
            let unless_given = boolean(&query, "all", true);
            assert_eq!(unless_given, expected || text.is_empty(), "{text}");
        }
    }
}
