//! The `filters` parameter of list and prune as engine filters.

use strata_engine::Filters;
use strata_oci::{
    filter::{self, FilterError},
    timestamp,
};

use crate::failure::Failure;

const LIST_KEYS: [&str; 7] = [
    "dangling",
    "label",
    "label!",
    "before",
    "since",
    "reference",
    "until",
];
const PRUNE_KEYS: [&str; 4] = ["dangling", "label", "label!", "until"];

/// Filters of a listing.
///
/// # Errors
/// 400, as dockerd words it.
pub(crate) fn for_list(json: &str, now: i64) -> Result<Filters, Failure> {
    read(json, &LIST_KEYS, now)
}

/// Filters of a prune: `dangling` is true unless said otherwise.
///
/// # Errors
/// 400, as dockerd words it.
pub(crate) fn for_prune(json: &str, now: i64) -> Result<Filters, Failure> {
    let mut filters = read(json, &PRUNE_KEYS, now)?;
    filters.dangling.get_or_insert(true);
    Ok(filters)
}

fn read(json: &str, keys: &[&str], now: i64) -> Result<Filters, Failure> {
    let invalid = |error: FilterError| Failure::invalid(error.to_string());
    let given = filter::Filters::parse(json).map_err(invalid)?;
    given.validate(keys).map_err(invalid)?;
    let dangling = given.boolean("dangling").map_err(invalid)?;
    let all = |key| given.get(key).to_vec();
    Ok(Filters {
        references: all("reference"),
        labels: all("label"),
        without_labels: all("label!"),
        dangling,
        before: all("before"),
        since: all("since"),
        until: until(&given, now)?,
    })
}

/// The one time of the `until` filter, in Unix seconds.
///
/// # Errors
/// 400 for what is no time, and for several.
pub(crate) fn until(given: &filter::Filters, now: i64) -> Result<Option<i64>, Failure> {
    match given.get("until") {
        [] => Ok(None),
        [value] => {
            let time = timestamp::parse_until(value, now);
            time.map(Some).map_err(|error| {
                Failure::invalid(format!("invalid value for 'until' filter: {error}"))
            })
        }
        _ => Err(Failure::invalid("more than one until filter specified")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000;

    #[test]
    fn reads_both_spellings() {
        let expected = Filters {
            references: vec!["a*".to_owned(), "b".to_owned()],
            without_labels: vec!["k=v".to_owned()],
            dangling: Some(false),
            until: Some(NOW - 600),
            ..Filters::default()
        };
        for json in [
            r#"{"reference":["a*","b"],"label!":["k=v"],"dangling":["false"],"until":["10m"]}"#,
            r#"{"reference":{"a*":true,"b":false},"label!":{"k=v":true},"dangling":{"0":true},"until":{"10m":true}}"#,
        ] {
            assert_eq!(for_list(json, NOW), Ok(expected.clone()), "{json}");
        }
        assert_eq!(for_list("", NOW), Ok(Filters::default()));
    }

    #[test]
    fn a_prune_takes_dangling_images_by_default() {
        for (json, dangling) in [
            ("", true),
            (r#"{"dangling":{"true":true}}"#, true),
            (r#"{"dangling":{"false":true}}"#, false),
        ] {
            assert_eq!(
                for_prune(json, NOW).unwrap().dangling,
                Some(dangling),
                "{json}"
            );
        }
    }

    #[test]
    fn refusals_read_like_dockerds() {
        for (json, message) in [
            ("{", "invalid filter"),
            (r#"{"foo":["x"]}"#, "invalid filter 'foo'"),
            (
                r#"{"dangling":["maybe"]}"#,
                "invalid filter 'dangling=[maybe]'",
            ),
            (r#"{"dangling":[]}"#, "invalid filter 'dangling'"),
            (
                r#"{"until":["1h","2h"]}"#,
                "more than one until filter specified",
            ),
            (
                r#"{"until":["nonsense"]}"#,
                "invalid value for 'until' filter: failed to parse value as time or duration: \"nonsense\"",
            ),
        ] {
            assert_eq!(
                for_list(json, NOW),
                Err(Failure::invalid(message)),
                "{json}"
            );
        }
        for key in ["reference", "before", "since"] {
            let json = format!(r#"{{"{key}":["x"]}}"#);
            let expected = Failure::invalid(format!("invalid filter '{key}'"));
            assert_eq!(for_prune(&json, NOW), Err(expected));
        }
    }
}
