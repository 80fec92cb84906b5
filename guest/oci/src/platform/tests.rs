use super::*;

fn platform(os: &str, architecture: &str, variant: &str) -> Platform {
    Platform {
        os: os.to_owned(),
        architecture: architecture.to_owned(),
        variant: (!variant.is_empty()).then(|| variant.to_owned()),
        ..Platform::default()
    }
}

/// `os/architecture/variant` as it stands, nothing normalised.
fn raw(text: &str) -> Platform {
    let mut parts = text.split('/');
    let mut next = || parts.next().unwrap_or_default();
    platform(next(), next(), next())
}

fn windows(version: &str) -> Platform {
    Platform {
        os_version: Some(version.to_owned()),
        ..platform("windows", "amd64", "")
    }
}

#[test]
fn reads_the_string_spelling() {
    let host = platform("linux", "amd64", "");
    for (text, expected) in [
        ("linux", "linux/amd64"),
        ("macos", "darwin/amd64"),
        ("Linux", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("aarch64", "linux/arm64"),
        ("x86_64", "linux/amd64"),
        ("x86-64", "linux/amd64"),
        ("i386", "linux/386"),
        ("arm", "linux/arm"),
        ("armhf", "linux/arm"),
        ("armel", "linux/arm/v6"),
        ("linux/amd64", "linux/amd64"),
        ("linux/arm64", "linux/arm64"),
        ("LINUX/AARCH64", "linux/arm64"),
        ("linux/arm", "linux/arm"),
        ("linux/armhf", "linux/arm"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/arm/v7", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/arm64/v8", "linux/arm64/v8"),
        ("linux/arm64/8", "linux/arm64/v8"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/V2", "linux/amd64/v2"),
        ("plan9/vax/x.1", "plan9/vax/x.1"),
        ("freebsd", "freebsd/amd64"),
        ("windows(10.0.17763)", "windows(10.0.17763)/amd64"),
        (
            "windows(10.0.17763)/arm64/v8",
            "windows(10.0.17763)/arm64/v8",
        ),
        ("windows()/amd64", "windows/amd64"),
    ] {
        let parsed = Platform::parse(text, &host).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.to_string(), expected, "{text}");
        assert_eq!(parsed.format(), expected);
    }
}

#[test]
fn one_word_takes_the_rest_from_the_machine() {
    let parse = |text, host: &str| Platform::parse(text, &raw(host)).unwrap().to_string();
    assert_eq!(parse("amd64", "windows/arm64"), "windows/amd64");
    // Of the variants only that of 32-bit ARM counts, and v7 is what it means anyway.
    assert_eq!(parse("linux", "linux/arm/v6"), "linux/arm/v6");
    assert_eq!(parse("linux", "linux/arm/v7"), "linux/arm");
    assert_eq!(parse("linux", "linux/arm64/v8"), "linux/arm64");
}

#[test]
fn refuses_strings_with_containerd_texts() {
    const COMPONENT: &str = "platform specifier component must match \"^[A-Za-z0-9_.-]+$\"";
    const OS: &str = r#"OSAndVersion specifier component must match "^([A-Za-z0-9_-]+)(?:\\(([A-Za-z0-9_.-]*)\\))?$""#;
    for (text, reason) in [
        (
            "vax",
            "\"vax\": unknown operating system or architecture".to_owned(),
        ),
        (
            "a/b/c/d",
            "\"a/b/c/d\": cannot parse platform specifier".to_owned(),
        ),
        (
            "linux/*",
            "\"linux/*\": wildcards not yet supported".to_owned(),
        ),
        (
            "linux/",
            format!("\"\" is an invalid component of \"linux/\": {COMPONENT}"),
        ),
        (
            "linux/a b",
            format!("\"a b\" is an invalid component of \"linux/a b\": {COMPONENT}"),
        ),
        (
            "a/b/c/d/e",
            format!("\"d/e\" is an invalid component of \"a/b/c/d/e\": {COMPONENT}"),
        ),
        ("", format!("\"\" is an invalid OS component of \"\": {OS}")),
        (
            "/amd64",
            format!("\"\" is an invalid OS component of \"/amd64\": {OS}"),
        ),
        (
            "linux(1",
            format!("\"linux(1\" is an invalid OS component of \"linux(1\": {OS}"),
        ),
        (
            "linux(+)",
            format!("\"linux(+)\" is an invalid OS component of \"linux(+)\": {OS}"),
        ),
        (
            "lin.ux",
            format!("\"lin.ux\" is an invalid OS component of \"lin.ux\": {OS}"),
        ),
    ] {
        let error = Platform::parse(text, &raw("linux/amd64")).unwrap_err();
        assert_eq!(error.to_string(), format!("{reason}: invalid argument"));
    }
}

#[test]
fn reads_and_writes_the_json_spelling() {
    let full = r#"{"architecture":"arm64","os":"linux","os.version":"12.0","os.features":["a","b"],"variant":"v7"}"#;
    let platform = Platform::parse_json(full).unwrap();
    assert_eq!(
        platform.variant.as_deref(),
        Some("v7"),
        "nothing is normalised"
    );
    assert_eq!(serde_json::to_string(&platform).unwrap(), full);

    let empties = r#"{"os":"linux","os.version":"","os.features":null,"variant":null,"architecture":"amd64","x":1}"#;
    let platform = Platform::parse_json(empties).unwrap();
    assert_eq!(platform, raw("linux/amd64"));
    let short = r#"{"architecture":"amd64","os":"linux"}"#;
    assert_eq!(serde_json::to_string(&platform).unwrap(), short);
}

#[test]
fn refuses_json_with_docker_texts() {
    for (json, message) in [
        ("", "failed to parse platform: unexpected end of JSON input"),
        (
            r#"{"architecture""#,
            "failed to parse platform: unexpected end of JSON input",
        ),
        (
            r#"{"architecture":"amd64","os":""}"#,
            "both OS and Architecture must be provided",
        ),
        (
            r#"{"os":"linux"}"#,
            "both OS and Architecture must be provided",
        ),
        (
            r#"{"os":"linux","variant":"v7"}"#,
            "both OS and Architecture must be provided",
        ),
        ("{}", "both OS and Architecture must be provided"),
        ("null", "both OS and Architecture must be provided"),
        (
            r#"{"variant":"v7"}"#,
            "optional platform fields provided, but OS and Architecture are missing",
        ),
        (
            r#"{"os.version":"12.0"}"#,
            "optional platform fields provided, but OS and Architecture are missing",
        ),
        (
            r#"{"os.features":["a"]}"#,
            "optional platform fields provided, but OS and Architecture are missing",
        ),
    ] {
        assert_eq!(
            Platform::parse_json(json).unwrap_err().to_string(),
            message,
            "{json}"
        );
    }
    for json in [
        "linux/amd64",
        r#"{"os":1,"architecture":"a"}"#,
        "[]x",
        r#"["amd64","linux"]"#,
    ] {
        let message = Platform::parse_json(json).unwrap_err().to_string();
        assert!(
            message.starts_with("failed to parse platform: "),
            "{message}"
        );
    }
}

#[test]
fn normalises_to_one_spelling() {
    for (from, to) in [
        ("Linux/X86_64", "linux/amd64"),
        ("linux/x86-64/V1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64/8", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/v8.1", "linux/arm64/v8.1"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/5", "linux/arm/v5"),
        ("linux/arm/8", "linux/arm/v8"),
        ("linux/armhf/v9", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386/x", "linux/386"),
        ("macOS/arm64", "darwin/arm64"),
    ] {
        let normal = raw(from).normalized();
        assert_eq!(normal, raw(to), "{from}");
        assert_eq!(
            normal.normalized(),
            normal,
            "normalising twice changes nothing"
        );
    }
    let mut featured = raw("linux/amd64");
    featured.os_features = ["b", "a", "b"].map(str::to_owned).to_vec();
    assert_eq!(featured.normalized().os_features, ["a", "b"]);
}

#[test]
fn prints_only_what_is_there() {
    assert_eq!(platform("", "amd64", "").to_string(), "unknown");
    assert_eq!(platform("linux", "", "").to_string(), "linux");
    assert_eq!(
        platform("linux", "arm64", "v8").to_string(),
        "linux/arm64/v8"
    );
    assert_eq!(
        platform("unknown", "unknown", "").to_string(),
        "unknown/unknown"
    );
}

#[test]
fn strict_matching_is_normalised_equality() {
    for (wanted, candidate, expected) in [
        ("linux/arm64", "linux/arm64/v8", true),
        ("linux/aarch64", "linux/arm64", true),
        ("linux/arm/v7", "linux/arm", true),
        ("linux/amd64", "linux/amd64/v1", true),
        ("linux/amd64/v2", "linux/amd64", false),
        ("linux/amd64", "linux/386", false),
        ("linux/arm/v7", "linux/arm/v6", false),
        ("linux/amd64", "windows/amd64", false),
        ("linux/amd64", "unknown/unknown", false),
    ] {
        assert_eq!(
            raw(wanted).matches(&raw(candidate)),
            expected,
            "{wanted} {candidate}"
        );
    }
}

#[test]
fn compatible_candidates_are_ranked_best_first() {
    for order in [
        // From the wanted platform down; the last line of each is not compatible.
        &["linux/amd64", "linux/386", "linux/amd64/v2"][..],
        &[
            "linux/amd64/v4",
            "linux/amd64/v3",
            "linux/amd64/v2",
            "linux/amd64",
            "linux/386",
            "linux/amd64/v5",
        ],
        &["linux/amd64/odd", "linux/386", "linux/amd64"],
        &["linux/386", "linux/amd64"],
        &[
            "linux/arm/v7",
            "linux/arm/v6",
            "linux/arm/v5",
            "linux/arm/v4",
        ],
        &["linux/arm/v7", "linux/arm/v8"],
        &["linux/arm/v6", "linux/arm/v5", "linux/arm"],
        &[
            "linux/arm64",
            "linux/arm/v8",
            "linux/arm/v7",
            "linux/arm/v6",
            "linux/arm/v5",
            "linux/arm64/v8.1",
        ],
        &[
            "linux/arm64/v8.2",
            "linux/arm64/v8.1",
            "linux/arm64/v8",
            "linux/arm/v8",
            "linux/arm",
            "linux/arm64/v9",
        ],
        &[
            "linux/arm64/v9.1",
            "linux/arm64/v9",
            "linux/arm64/v8.6",
            "linux/arm64/v8.5",
            "linux/arm64/v8.1",
            "linux/arm64",
            "linux/arm/v8",
            "linux/arm/v5",
            "linux/arm64/v8.7",
        ],
        &[
            "linux/arm64/v9",
            "linux/arm64/v8.5",
            "linux/arm64",
            "linux/arm/v8",
            "linux/arm64/v8.6",
        ],
        &["linux/arm64/odd", "linux/arm64"],
        &["linux/riscv64", "linux/amd64"],
        &["linux/amd64", "windows/386"],
    ] {
        let (incompatible, compatible) = order.split_last().unwrap();
        let wanted = raw(compatible[0]);
        let rank = |candidate: &str| wanted.rank(&raw(candidate));
        assert_eq!(rank(compatible[0]), Some(0), "{wanted}");
        assert_eq!(rank(incompatible), None, "{wanted} {incompatible}");
        for pair in compatible.windows(2) {
            let (better, worse) = (rank(pair[0]), rank(pair[1]));
            assert!(
                better.is_some() && better < worse,
                "{wanted}: {pair:?} {better:?} {worse:?}"
            );
        }
    }
}

#[test]
fn absurd_variants_cost_nothing() {
    let wanted = raw("linux/amd64/v18446744073709551615");
    assert!(wanted.rank(&raw("linux/386")) > wanted.rank(&raw("linux/amd64")));
    assert_eq!(
        raw("linux/arm/v99999999999999999999").rank(&raw("linux/arm")),
        None
    );
}

#[test]
fn os_version_counts_on_windows_only() {
    for (wanted, candidate, expected) in [
        ("10.0.17763.1", "10.0.17763.2", true),
        ("10.0.17763", "10.0.20348.1", false),
        ("10.0", "10.0.20348.1", true),
    ] {
        assert_eq!(
            windows(wanted).matches(&windows(candidate)),
            expected,
            "{wanted} {candidate}"
        );
        assert_eq!(
            windows(wanted).rank(&windows(candidate)).is_some(),
            expected
        );
    }
    assert!(windows("10.0.17763").matches(&raw("windows/amd64")));
    let linux = |version| Platform {
        os: "linux".to_owned(),
        ..windows(version)
    };
    assert!(linux("10.0.17763").matches(&linux("10.0.20348")));
}

#[test]
fn demanded_features_must_be_there() {
    let plain = raw("linux/amd64");
    let featured = Platform {
        os_features: vec!["f".to_owned()],
        ..plain.clone()
    };
    assert!(featured.matches(&featured) && featured.matches(&plain));
    assert!(!plain.matches(&featured));
    assert_eq!(plain.rank(&featured), None);
}
