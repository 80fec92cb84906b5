//! How long ago, in the words of docker's tables.

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24;
const WEEK: i64 = 7 * DAY;
const MONTH: i64 = 30 * DAY;
const YEAR: i64 = 365 * DAY;

/// The age of something built at `created`, both in seconds since 1970. An image config that does
/// not say leaves 0.
pub(crate) fn since(created: i64, now: i64) -> String {
    match created {
        0 => "N/A".into(),
        created => format!("{} ago", span(now.saturating_sub(created))),
    }
}

fn span(seconds: i64) -> String {
    // Hours are rounded, the rest is cut off, as in docker's go-units.
    let hours = seconds.saturating_add(HOUR / 2) / HOUR;
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..MINUTE => format!("{seconds} seconds"),
        MINUTE..120 => "About a minute".into(),
        120..HOUR => format!("{} minutes", seconds / MINUTE),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 2 * DAY => format!("{hours} hours"),
        _ if hours < 2 * WEEK => format!("{} days", hours / DAY),
        _ if hours < 2 * MONTH => format!("{} weeks", hours / WEEK),
        _ if hours < 2 * YEAR => format!("{} months", hours / MONTH),
        _ => format!("{} years", hours / YEAR),
    }
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed.map_or(0, |elapsed| {
        elapsed.as_secs().try_into().unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_worded_as_docker_words_them() {
        let day = DAY * HOUR;
        for (seconds, text) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * HOUR, "47 hours"),
            (2 * day, "2 days"),
            (13 * day, "13 days"),
            (14 * day, "2 weeks"),
            (21 * day, "3 weeks"),
            (59 * day, "8 weeks"),
            (60 * day, "2 months"),
            (729 * day, "24 months"),
            (730 * day, "2 years"),
        ] {
            assert_eq!(span(seconds), text, "{seconds}");
        }
        assert_eq!(since(1000, 1000 + 21 * day), "3 weeks ago");
        assert_eq!(since(0, 1000), "N/A");
    }
}
