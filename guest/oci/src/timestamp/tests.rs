use super::*;

#[test]
fn reads_rfc3339() {
    for (text, expected) in [
        ("1970-01-01T00:00:00Z", (0, 0)),
        ("2024-02-29T12:34:56.789Z", (1_709_210_096, 789_000_000)),
        (
            "2024-02-29T12:34:56.123456789Z",
            (1_709_210_096, 123_456_789),
        ),
        (
            "2024-02-29T12:34:56.1234567899Z",
            (1_709_210_096, 123_456_789),
        ),
        ("2024-02-29T14:34:56+02:00", (1_709_210_096, 0)),
        ("2024-02-29T11:04:56.5-01:30", (1_709_210_096, 500_000_000)),
        ("0001-01-01T00:00:00Z", (-62_135_596_800, 0)),
        ("1969-12-31T23:59:59.5Z", (-1, 500_000_000)),
        ("9999-12-31T23:59:59Z", (253_402_300_799, 0)),
        ("0000-01-01T00:00:00+24:00", (-62_167_305_600, 0)),
    ] {
        assert_eq!(parse_rfc3339(text), Some(expected), "{text}");
    }
}

#[test]
fn refuses_what_is_not_rfc3339() {
    for text in [
        "",
        "0",
        "2024-01-02",
        "2024-01-02T03:04:05",
        "2024-01-02T03:04Z",
        "2024-01-02 03:04:05Z",
        "2024-13-02T03:04:05Z",
        "2024-00-02T03:04:05Z",
        "2023-02-29T03:04:05Z",
        "2024-01-00T03:04:05Z",
        "2024-01-32T03:04:05Z",
        "2024-01-02T24:04:05Z",
        "2024-01-02T03:60:05Z",
        "2024-01-02T03:04:60Z",
        "2024-01-02T3:04:05Z",
        "2024-01-02T03:04:05.Z",
        "2024-01-02T03:04:05,5Z",
        "2024-01-02T03:04:05z",
        "2024-01-02t03:04:05Z",
        "2024-01-02T03:04:05+0200",
        "2024-01-02T03:04:05+25:00",
        "2024-01-02T03:04:05+02:61",
        "2024-01-02T03:04:05Zx",
        "+024-01-02T03:04:05Z",
        "２024-01-02T03:04:05Z",
        "2024-01-02T03:04:05+é:00",
    ] {
        assert_eq!(parse_rfc3339(text), None, "{text:?}");
    }
}

#[test]
fn writes_like_go() {
    for (secs, nanos, expected) in [
        (0, 0, "1970-01-01T00:00:00Z"),
        (1_709_210_096, 789_000_000, "2024-02-29T12:34:56.789Z"),
        (1_709_210_096, 123_456_789, "2024-02-29T12:34:56.123456789Z"),
        (1_709_210_096, 1, "2024-02-29T12:34:56.000000001Z"),
        (1_704_164_645, 0, "2024-01-02T03:04:05Z"),
        (-62_135_596_800, 0, "0001-01-01T00:00:00Z"),
        (-1, 0, "1969-12-31T23:59:59Z"),
        (i64::MIN, 0, "0000-01-01T00:00:00Z"),
        (i64::MAX, u32::MAX, "9999-12-31T23:59:59.999999999Z"),
    ] {
        assert_eq!(format_rfc3339_nano(secs, nanos), expected);
    }
}

#[test]
fn reads_go_durations() {
    const SECOND: i64 = 1_000_000_000;
    for (text, expected) in [
        ("0", Some(0)),
        ("-0", Some(0)),
        ("10m", Some(600 * SECOND)),
        ("1h30m", Some(5400 * SECOND)),
        ("1h2m3s4ms5us6ns", Some(3723 * SECOND + 4_005_006)),
        ("1.5s", Some(SECOND + SECOND / 2)),
        (".5s", Some(SECOND / 2)),
        ("1.s", Some(SECOND)),
        ("-2µs", Some(-2_000)),
        ("+2μs", Some(2_000)),
        ("0.3333333333333333333h", Some(1_199_999_999_999)),
        ("9223372036854775807ns", Some(i64::MAX)),
        ("-9223372036854775808ns", None),
        ("9223372036854775808ns", None),
        ("1000h1000h", Some(2_000 * 3_600 * SECOND)),
        ("2562047h47m16.854775807s", Some(i64::MAX)),
        ("2562047h47m16.854775808s", None),
        ("-2562047h47m16.854775808s", Some(i64::MIN)),
        ("99999999999999999999h", None),
        ("", None),
        ("-", None),
        ("3", None),
        ("s", None),
        (".s", None),
        ("1d", None),
        ("1h ", None),
        (" 1h", None),
        ("1H", None),
        ("--1h", None),
        ("1.2.3s", None),
    ] {
        assert_eq!(parse_go_duration(text), expected, "{text:?}");
    }
    assert_eq!(parse_go_duration(&"1000h".repeat(2_563)), None);
}

#[test]
fn until_takes_every_spelling() {
    const NOW: i64 = 1_700_000_000;
    for (value, expected) in [
        ("10m", NOW - 600),
        ("1h30m", NOW - 5_400),
        ("-10m", NOW + 600),
        ("1ns", NOW - 1),
        ("0", 0),
        ("0s", NOW),
        ("1136073600", 1_136_073_600),
        ("1136073600.000000001", 1_136_073_600),
        ("1136073600.9", 1_136_073_600),
        ("2006-01-02", 1_136_160_000),
        ("2006-01-02Z", 1_136_160_000),
        ("2006-01-02+01:00", 1_136_156_400),
        ("2006-01-02-01:00", 1_136_163_600),
        ("2006-01-02T15", 1_136_214_000),
        ("2006-01-02T15Z", 1_136_214_000),
        ("2006-01-02T15+01:00", 1_136_210_400),
        ("2006-01-02T15:04", 1_136_214_240),
        ("2006-01-02T15:04Z", 1_136_214_240),
        ("2006-01-02T15:04-07:00", 1_136_239_440),
        ("2006-01-02T15:04:05", 1_136_214_245),
        ("2006-01-02T15:04:05Z", 1_136_214_245),
        ("2006-01-02T15:04:05+01:00", 1_136_210_645),
        ("2006-01-02T15:04:05.999999999", 1_136_214_245),
        ("2006-01-02T15:04:05.5-07:00", 1_136_239_445),
        ("2006-01-02T5", 1_136_178_000),
    ] {
        assert_eq!(parse_until(value, NOW), Ok(expected), "{value}");
    }
}

#[test]
fn until_cuts_fractions_downwards_before_1970_too() {
    assert_eq!(parse_until("1ns", 0), Ok(-1));
    assert_eq!(parse_until("1500ms", -5), Ok(-7));
}

#[test]
fn until_says_what_is_wrong_like_go() {
    for (value, reason) in [
        ("", r#"failed to parse value as time or duration: """#),
        (
            "banana",
            r#"failed to parse value as time or duration: "banana""#,
        ),
        ("1d", r#"failed to parse value as time or duration: "1d""#),
        ("1.", r#"failed to parse value as time or duration: "1.""#),
        ("1.x", r#"failed to parse value as time or duration: "1.x""#),
        (
            "99999999999999999999",
            r#"failed to parse value as time or duration: "99999999999999999999""#,
        ),
        (
            "-1",
            r#"parsing time "-1" as "2006-01-02": cannot parse "-1" as "2006""#,
        ),
        (
            "2006-1-02",
            r#"parsing time "2006-1-02" as "2006-01-02": cannot parse "1-02" as "01""#,
        ),
        (
            "2006-01",
            r#"parsing time "2006-01" as "2006-01-02": cannot parse "" as "-""#,
        ),
        (
            "2006-13-02",
            r#"parsing time "2006-13-02": month out of range"#,
        ),
        (
            "2006-02-30",
            r#"parsing time "2006-02-30": day out of range"#,
        ),
        (
            "2006-01-02T25",
            r#"parsing time "2006-01-02T25": hour out of range"#,
        ),
        (
            "2006-01-02T15:61",
            r#"parsing time "2006-01-02T15:61": minute out of range"#,
        ),
        (
            "2006-01-02T15:04:61",
            r#"parsing time "2006-01-02T15:04:61": second out of range"#,
        ),
        (
            "2006-01-02x",
            r#"parsing time "2006-01-02x": extra text: "x""#,
        ),
        (
            "2006-01-02T15:04:05.1+0100",
            r#"parsing time "2006-01-02T15:04:05.1+0100" as "2006-01-02T15:04:05.999999999Z07:00": cannot parse "+0100" as "Z07:00""#,
        ),
        (
            "2006-01-02T15:04+25:00",
            r#"parsing time "2006-01-02T15:04+25:00": time zone offset hour out of range"#,
        ),
        (
            "2006-01-02T15:04+01:99",
            r#"parsing time "2006-01-02T15:04+01:99": time zone offset minute out of range"#,
        ),
    ] {
        assert_eq!(
            parse_until(value, 0).unwrap_err().to_string(),
            reason,
            "{value}"
        );
    }
}

#[test]
fn until_survives_the_ends_of_time() {
    assert_eq!(
        parse_until("-2562047h", i64::MAX),
        Err(TimestampError::Unrecognized("-2562047h".to_owned()))
    );
    assert!(parse_until("2562047h", i64::MIN).is_err());
}
