//! Creating containers: the body, the parameters, and failures.

use strata_engine::{Created, Error};

use super::{
    client::{call, send_json, send_nothing},
    fake::{Fake, last_call},
};

const CREATE: &str = "POST /containers/create";

#[test]
fn a_created_container_is_named_with_its_warnings() {
    for (warnings, expected) in [(vec![], "[]"), (vec!["careful"], r#"["careful"]"#)] {
        let fake = Fake {
            created: Created {
                id: "c1".to_owned(),
                warnings: warnings.into_iter().map(str::to_owned).collect(),
            },
            ..Fake::default()
        };
        let client = send_json(&fake, CREATE, r#"{"Image":"alpine"}"#);
        let expected = format!("{{\"Id\":\"c1\",\"Warnings\":{expected}}}\n");
        assert_eq!((client.code(), client.text()), (201, expected.as_str()));
    }
}

#[test]
fn body_and_parameters_make_the_options() {
    for (query, body, parts) in [
        (
            "",
            r#"{"Image":"alpine","Cmd":["sh"]}"#,
            &[
                r#"image: "alpine", name: None, platform: None"#,
                r#"cmd: Some(["sh"])"#,
                "host_config: None",
                "networking_config: None",
            ][..],
        ),
        (
            "?name=web",
            r#"{"image":"a","Entrypoint":"/e","Unknown":1,"HostConfig":null}"#,
            &[
                r#"image: "a""#,
                r#"name: Some("web")"#,
                r#"entrypoint: Some(["/e"])"#,
                "host_config: None",
            ],
        ),
        (
            "?name=/web",
            r#"{"Image":"a","HostConfig":{"Memory": 5}}"#,
            &[r#"name: Some("web")"#, r#"{"Memory": 5}"#],
        ),
        (
            "?name=&platform=linux/arm64",
            r#"{"Image":"a","NetworkingConfig":{"EndpointsConfig":{}}}"#,
            &["name: None", r#""arm64""#, r#"{"EndpointsConfig":{}}"#],
        ),
    ] {
        let fake = Fake::default();
        let client = send_json(&fake, &format!("{CREATE}{query}"), body);
        assert_eq!(client.code(), 201, "{body}: {}", client.text());
        let call = last_call(&fake).replace('\\', "");
        for part in parts {
            assert!(call.contains(part), "{part} in {call}");
        }
    }
}

#[test]
fn newer_members_are_ignored_by_older_versions() {
    let body = r#"{"Image":"a","Healthcheck":{"StartInterval":7}}"#;
    for (version, has_platform, has_interval) in [
        ("1.54", true, true),
        ("1.44", true, true),
        ("1.43", true, false),
        ("1.41", true, false),
        ("1.40", false, false),
    ] {
        let fake = Fake::default();
        let line = format!("POST /v{version}/containers/create?platform=linux/arm64");
        assert_eq!(send_json(&fake, &line, body).code(), 201);
        let call = last_call(&fake);
        assert_eq!(call.contains("arm64"), has_platform, "{version}");
        assert_eq!(
            call.contains("start_interval: 7"),
            has_interval,
            "{version}"
        );
    }
}

#[test]
fn what_was_given_twice_is_put_together_as_go_does() {
    for (body, expected) in [
        (
            r#"{"Image":"a","hostconfig":{"Memory":5},"HostConfig":{"Init":true,"memory":6}}"#,
            r#"host_config: Some(RawValue({"Memory":5,"Init":true,"memory":6}))"#,
        ),
        (
            r#"{"Image":"a","HostConfig":{"Memory":5},"HOSTCONFIG":{}}"#,
            r#"host_config: Some(RawValue({"Memory":5}))"#,
        ),
        (
            r#"{"Image":"a","HostConfig":{"Memory":5},"HostConfig":null}"#,
            "host_config: None",
        ),
        (
            r#"{"Image":"a","HostConfig":{"a\ud800":"\udc00"}}"#,
            r#"host_config: Some(RawValue({"a\ud800":"\udc00"}))"#,
        ),
    ] {
        let fake = Fake::default();
        assert_eq!(send_json(&fake, CREATE, body).code(), 201, "{body}");
        let call = last_call(&fake);
        assert!(call.contains(expected), "{expected} in {call}");
    }
}

#[test]
fn bad_requests_never_reach_the_engine() {
    let no_config = "config cannot be empty in order to create a container";
    for (body, message) in [
        ("", no_config),
        ("null", no_config),
        ("{}", no_config),
        (r#"{"HostConfig":{}}"#, no_config),
        (r#"{"Image":""}"#, "no command specified"),
        (r#"{"Tty":true,"Cmd":[]}"#, "no command specified"),
        (r#"{"Cmd":["sh"]}"#, "invalid reference format"),
        (
            "[]",
            "invalid JSON: invalid type: sequence, expected an object",
        ),
        (r#"{"Image":"a"}}"#, "unexpected content after JSON"),
        (
            r#"{"Image":5}"#,
            "invalid JSON: invalid type: integer `5`, expected a string",
        ),
        (
            r#"{"Image":"a","HostConfig":[]}"#,
            "invalid JSON: invalid type: sequence, expected an object",
        ),
    ] {
        let fake = Fake::default();
        let client = send_json(&fake, CREATE, body);
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (400, expected.as_str()));
        assert!(fake.calls.borrow().is_empty(), "{body}");
    }
    assert_eq!(send_nothing(&Fake::default(), CREATE).code(), 400);
    assert_eq!(
        call(&Fake::default(), CREATE).code(),
        400,
        "no content type"
    );
}

#[test]
fn failures_of_the_engine_have_their_status() {
    let fake = Fake {
        error: Some(Error::NotFound("No such image: x:latest".to_owned())),
        ..Fake::default()
    };
    let client = send_json(&fake, CREATE, r#"{"Image":"x"}"#);
    assert_eq!(client.code(), 404, "what makes `docker run` pull");
    assert_eq!(client.text(), "{\"message\":\"No such image: x:latest\"}\n");
}
