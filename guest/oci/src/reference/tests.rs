use super::*;

const SHA: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

fn parse(text: &str) -> Reference {
    Reference::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &str) -> String {
    Reference::parse(text).unwrap_err().to_string()
}

#[test]
fn normalises_to_canonical_and_back_to_familiar() {
    for (text, canonical, familiar) in [
        ("alpine", "docker.io/library/alpine", "alpine"),
        ("alpine:3", "docker.io/library/alpine:3", "alpine:3"),
        ("docker.io/alpine", "docker.io/library/alpine", "alpine"),
        (
            "index.docker.io/alpine",
            "docker.io/library/alpine",
            "alpine",
        ),
        ("index.docker.io/a/b", "docker.io/a/b", "a/b"),
        ("library/alpine", "docker.io/library/alpine", "alpine"),
        (
            "foo/bar:TAG_1.x-y",
            "docker.io/foo/bar:TAG_1.x-y",
            "foo/bar:TAG_1.x-y",
        ),
        ("library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("localhost/a", "localhost/a", "localhost/a"),
        (
            "localhost:5000",
            "docker.io/library/localhost:5000",
            "localhost:5000",
        ),
        (
            "localhost:5000/a:b",
            "localhost:5000/a:b",
            "localhost:5000/a:b",
        ),
        ("quay.io/a", "quay.io/a", "quay.io/a"),
        (
            "quay.io/library/a",
            "quay.io/library/a",
            "quay.io/library/a",
        ),
        ("Upper/a", "Upper/a", "Upper/a"),
        (
            "EXAMPLE.com:80/a/b/c",
            "EXAMPLE.com:80/a/b/c",
            "EXAMPLE.com:80/a/b/c",
        ),
        ("127.0.0.1/a", "127.0.0.1/a", "127.0.0.1/a"),
        ("[::1]/a", "[::1]/a", "[::1]/a"),
        (
            "[fd00:1:2::3]:75050/a",
            "[fd00:1:2::3]:75050/a",
            "[fd00:1:2::3]:75050/a",
        ),
        (
            "example.com",
            "docker.io/library/example.com",
            "example.com",
        ),
        (
            "a.b__c--d---e_f",
            "docker.io/library/a.b__c--d---e_f",
            "a.b__c--d---e_f",
        ),
    ] {
        let reference = parse(text);
        assert_eq!(reference.to_string(), canonical, "{text}");
        assert_eq!(reference.familiar(), familiar, "{text}");
        assert_eq!(parse(canonical), reference, "canonical form is stable");
        assert_eq!(parse(familiar), reference, "familiar form says the same");
    }
}

#[test]
fn takes_tag_and_digest_apart() {
    for (suffix, tag, digest) in [
        (String::new(), None, None),
        (":3".to_owned(), Some("3"), None),
        (format!("@{SHA}"), None, Some(SHA)),
        (format!(":3@{SHA}"), Some("3"), Some(SHA)),
    ] {
        let reference = parse(&format!("r.io:1/a/b{suffix}"));
        assert_eq!(reference.domain(), "r.io:1");
        assert_eq!(reference.path(), "a/b");
        assert_eq!(reference.tag(), tag);
        assert_eq!(reference.digest().map(Digest::as_str), digest);
        assert_eq!(reference.repository(), "r.io:1/a/b");
        assert_eq!(reference.is_name_only(), suffix.is_empty());
        assert_eq!(reference.to_string(), format!("r.io:1/a/b{suffix}"));
    }
    assert_eq!(
        parse(&format!("alpine:3@{SHA}")).familiar(),
        format!("alpine:3@{SHA}")
    );
}

#[test]
fn refuses_with_docker_texts() {
    let hex = "a".repeat(64);
    for (text, message) in [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("/a", "invalid reference format"),
        ("a/", "invalid reference format"),
        ("a//b", "invalid reference format"),
        ("a:", "invalid reference format"),
        ("a:b:c", "invalid reference format"),
        ("a:-x", "invalid reference format"),
        ("a:.x", "invalid reference format"),
        ("a b", "invalid reference format"),
        (" a", "invalid reference format"),
        ("a\n", "invalid reference format"),
        ("ü", "invalid reference format"),
        ("-a", "invalid reference format"),
        ("a-", "invalid reference format"),
        ("a..b", "invalid reference format"),
        ("a___b", "invalid reference format"),
        ("a._b", "invalid reference format"),
        ("a@", "invalid reference format"),
        ("a@sha256:abc", "invalid reference format"),
        ("a@@b", "invalid reference format"),
        ("https://r.io/a", "invalid reference format"),
        ("r.io:port/a", "invalid reference format"),
        ("r.io:/a", "invalid reference format"),
        ("-r.io/a", "invalid reference format"),
        ("r-.io/a", "invalid reference format"),
        ("r..io/a", "invalid reference format"),
        ("[::1/a", "invalid reference format"),
        ("[]/a", "invalid reference format"),
        ("[fe80::1%eth0]/a", "invalid reference format"),
        ("[::1]x/a", "invalid reference format"),
        ("[::1]:/a", "invalid reference format"),
        ("a_b.c/x", "invalid reference format"),
        (
            "Alpine",
            "invalid reference format: repository name (library/Alpine) must be lowercase",
        ),
        (
            "r.io/Foo/bar:TAG",
            "invalid reference format: repository name (Foo/bar) must be lowercase",
        ),
        ("Foo_bar/x", "repository name must be lowercase"),
        (
            hex.as_str(),
            &format!("invalid repository name ({hex}), cannot specify 64-byte hexadecimal strings"),
        ),
    ] {
        assert_eq!(refusal(text), message, "{text:?}");
    }
}

#[test]
fn refuses_unusable_digests_with_the_digest_texts() {
    let zeros = |n| "0".repeat(n);
    for (digest, message) in [
        (format!("sha256:{}", zeros(31)), "invalid reference format"),
        (
            format!("sha256:{}", zeros(32)),
            "invalid checksum digest length",
        ),
        (
            format!("sha256:{}", "A".repeat(64)),
            "invalid checksum digest format",
        ),
        (
            format!("SHA256:{}", zeros(64)),
            "invalid checksum digest format",
        ),
        (
            format!("blake3:{}", zeros(64)),
            "unsupported digest algorithm",
        ),
        (format!("3sha:{}", zeros(64)), "invalid reference format"),
        (
            format!("sha+b64:{}", zeros(64)),
            "unsupported digest algorithm",
        ),
    ] {
        assert_eq!(refusal(&format!("a:t@{digest}")), message, "{digest}");
    }
}

#[test]
fn path_and_tag_lengths_are_bounded() {
    let path = |n: usize| format!("r.io/{}", "a".repeat(n));
    assert_eq!(parse(&path(255)).path().len(), 255);
    assert_eq!(
        refusal(&path(256)),
        "repository name must not be more than 255 characters"
    );
    // The `library/` that normalising adds counts, the domain does not.
    assert_eq!(parse(&"a".repeat(247)).path().len(), 255);
    assert_eq!(
        Reference::parse(&"a".repeat(248)),
        Err(ReferenceError::TooLong)
    );
    parse(&format!("{}.io/{}", "r".repeat(300), "a".repeat(255)));

    parse(&format!("a:{}", "t".repeat(128)));
    assert_eq!(
        refusal(&format!("a:{}", "t".repeat(129))),
        "invalid reference format"
    );
}

#[test]
fn default_tag_goes_to_bare_names_only() {
    for (text, expected) in [
        ("a".to_owned(), "a:latest".to_owned()),
        ("a:3".to_owned(), "a:3".to_owned()),
        (format!("a@{SHA}"), format!("a@{SHA}")),
    ] {
        assert_eq!(parse(&text).with_default_tag().familiar(), expected);
    }
}

#[test]
fn changing_one_part_leaves_the_other() {
    let both = parse(&format!("a:3@{SHA}"));
    let other = Digest::sha256(b"other");
    assert_eq!(both.with_tag("4").unwrap().familiar(), format!("a:4@{SHA}"));
    assert_eq!(
        both.with_digest(other.clone()).familiar(),
        format!("a:3@{other}")
    );
    assert_eq!(both.without_tag().familiar(), format!("a@{SHA}"));
    assert_eq!(both.without_digest().familiar(), "a:3");
    assert_eq!(both.without_tag_and_digest().familiar(), "a");
    for tag in ["", "-a", ".a", "a:b", "a/b", "ä", &"t".repeat(129)] {
        let error = both.with_tag(tag).unwrap_err();
        assert_eq!(error.to_string(), "invalid tag format", "{tag}");
    }
}

#[test]
fn whole_ids_are_no_names() {
    let hex = SHA.strip_prefix("sha256:").unwrap();
    let id = NameOrId::Id(Digest::parse(SHA).unwrap());
    assert_eq!(parse_name_or_id(hex), Ok(id.clone()));
    assert_eq!(parse_name_or_id(SHA), Ok(id));
    for name in ["deadbeef", "sha256:deadbeef", &hex[1..], "a"] {
        assert_eq!(
            parse_name_or_id(name),
            Ok(NameOrId::Name(parse(name))),
            "{name}"
        );
    }
    assert_eq!(
        parse_name_or_id("Alpine").unwrap_err().to_string(),
        "invalid reference format: repository name (library/Alpine) must be lowercase"
    );
}

#[test]
fn id_prefixes_are_4_to_64_lower_hex() {
    let hex = "0123456789abcdef".repeat(4);
    for text in ["dead", "0123456789ab", hex.as_str()] {
        assert_eq!(id_prefix(text), Some((Algorithm::Sha256, text)));
        assert_eq!(
            id_prefix(&format!("sha256:{text}")),
            Some((Algorithm::Sha256, text))
        );
    }
    for text in [
        "",
        "dea",
        "DEAD",
        "deag",
        "sha256:",
        "sha256:dea",
        "sha512:dead",
        &format!("{hex}0"),
    ] {
        assert_eq!(id_prefix(text), None, "{text}");
    }
}
