//! Pull: what its parameters and headers become.

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use strata_engine::RegistryAuth;

use super::{
    client::{call, call_with},
    fake::{Fake, digest},
};

#[test]
fn parameters_make_the_reference() {
    let sha = digest("x");
    for (query, expected, all_tags) in [
        (
            "fromImage=alpine&tag=3".to_owned(),
            "docker.io/library/alpine:3".to_owned(),
            false,
        ),
        (
            "fromImage=alpine:2&tag=3".to_owned(),
            "docker.io/library/alpine:3".to_owned(),
            false,
        ),
        (
            "fromImage=alpine:2".to_owned(),
            "docker.io/library/alpine:2".to_owned(),
            false,
        ),
        (
            "fromImage=alpine".to_owned(),
            "docker.io/library/alpine".to_owned(),
            true,
        ),
        (
            "fromImage=alpine:".to_owned(),
            "docker.io/library/alpine".to_owned(),
            true,
        ),
        (
            format!("fromImage=a/b:1&tag={sha}"),
            format!("docker.io/a/b@{sha}"),
            false,
        ),
        (
            format!("fromImage=a/b@{sha}&tag=1"),
            format!("docker.io/a/b:1@{sha}"),
            false,
        ),
    ] {
        let fake = Fake::default();
        assert_eq!(
            call(&fake, &format!("POST /images/create?{query}")).code(),
            200,
            "{query}"
        );
        let options = &fake.pulls.borrow()[0];
        assert_eq!(
            (options.reference.to_string(), options.all_tags),
            (expected, all_tags)
        );
    }
}

#[test]
fn bad_parameters_never_reach_the_engine() {
    for (query, status, message) in [
        ("fromImage=scratch", 403, "'scratch' is a reserved name"),
        (
            "fromImage=Alpine",
            400,
            "invalid reference format: repository name (library/Alpine) must be lowercase",
        ),
        ("fromImage=alpine&tag=-", 400, "invalid tag format"),
        (
            "fromImage=alpine&platform=linux/amd64&platform=linux/arm64",
            400,
            "multiple platforms is not supported",
        ),
        (
            "fromImage=alpine&platform=linux/amd64,linux/arm64",
            400,
            "multiple platforms is not supported",
        ),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("POST /images/create?{query}"));
        assert_eq!(client.code(), status, "{query}");
        assert_eq!(
            client.text(),
            format!("{{\"message\":\"{message}\"}}\n"),
            "{query}"
        );
        assert!(fake.pulls.borrow().is_empty());
    }
    let client = call(
        &Fake::default(),
        "POST /images/create?fromImage=alpine&platform=nonsense",
    );
    assert_eq!(client.code(), 400);
    assert!(
        client
            .text()
            .contains("unknown operating system or architecture")
    );
}

#[test]
fn platform_and_headers_are_passed_on() {
    let auth = BASE64_URL_SAFE.encode(r#"{"username":"u","password":"p"}"#);
    let headers = [("x-registry-auth", auth.as_str()), ("x-meta-team", "blue")];
    for (path, platform) in [
        (
            "/images/create?fromImage=a&platform=linux/arm64",
            Some("linux/arm64"),
        ),
        (
            "/v1.32/images/create?fromImage=a&platform=arm64",
            Some("linux/arm64"),
        ),
        (
            "/v1.31/images/create?fromImage=a&platform=linux/arm64",
            None,
        ),
        ("/images/create?fromImage=a&platform=", None),
    ] {
        let fake = Fake::default();
        call_with(&fake, &format!("POST {path}"), &headers);
        let options = &fake.pulls.borrow()[0];
        let given = options.platforms.first().map(ToString::to_string);
        assert_eq!(given.as_deref(), platform, "{path}");
        assert_eq!(
            options.headers,
            [("x-meta-team".to_owned(), "blue".to_owned())]
        );
        let expected = RegistryAuth::Basic {
            username: "u".to_owned(),
            password: "p".into(),
        };
        assert!(options.auth == expected);
    }
}
