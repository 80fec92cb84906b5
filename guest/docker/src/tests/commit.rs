//! Commit: its parameters and body, the answer, and failures.

use strata_engine::Error;

use super::{
    client::{call_with, send_json, send_nothing},
    fake::{Fake, digest, last_call},
};

const COMMIT: &str = "POST /commit?container=web";

#[test]
fn a_commit_answers_with_the_image() {
    let client = send_nothing(&Fake::default(), COMMIT);
    let expected = format!("{{\"Id\":\"{}\"}}\n", digest("committed"));
    assert_eq!((client.code(), client.text()), (201, expected.as_str()));
    assert_eq!(client.headers["content-type"], "application/json");
}

#[test]
fn parameters_make_the_options() {
    for (query, parts) in [
        (
            "",
            &[
                "reference: None",
                r#"comment: """#,
                r#"author: """#,
                "changes: []",
            ][..],
        ),
        (
            "&repo=a&comment=c+d&author=x&pause=0",
            &[
                r#""library/a""#,
                r#""latest""#,
                r#"comment: "c d""#,
                r#"author: "x""#,
            ],
        ),
        ("&repo=a:1&tag=2", &[r#""2""#]),
        (
            "&changes=CMD+a&changes=USER+b",
            &[r#"changes: ["CMD a", "USER b"]"#],
        ),
    ] {
        let fake = Fake::default();
        assert_eq!(send_nothing(&fake, &format!("{COMMIT}{query}")).code(), 201);
        let call = last_call(&fake);
        assert!(call.starts_with("commit web "), "{call}");
        for part in parts {
            assert!(call.contains(part), "{part} in {call}");
        }
    }
}

#[test]
fn a_body_without_config_members_is_none() {
    for (body, expected) in [
        ("", "config: None"),
        ("null", "config: None"),
        ("{}", "config: None"),
        (r#"{"HostConfig":{}}"#, "config: None"),
        (r#"{"User":"u"}"#, r#"user: "u""#),
        (r#"{"user":"u"}"#, r#"user: "u""#),
        (r#"{"Cmd":null}"#, "config: Some("),
    ] {
        let fake = Fake::default();
        let client = send_json(&fake, COMMIT, body);
        assert_eq!(client.code(), 201, "{body}: {}", client.text());
        assert!(last_call(&fake).contains(expected), "{}", last_call(&fake));
    }
}

#[test]
fn bad_requests_never_reach_the_engine() {
    let with_digest = format!("{COMMIT}&repo=a@{}", digest("a"));
    for (line, body, message) in [
        ("POST /commit", "", "invalid name or ID supplied: \\\"\\\""),
        (&with_digest, "", "cannot import digest reference"),
        (
            "POST /commit?container=web&repo=a&tag=-",
            "",
            "invalid tag format",
        ),
        (COMMIT, "{} {}", "unexpected content after JSON"),
        (
            COMMIT,
            r#"{"Tty":"yes"}"#,
            "invalid JSON: invalid type: string \\\"yes\\\", expected a boolean",
        ),
    ] {
        let fake = Fake::default();
        let client = send_json(&fake, line, body);
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (400, expected.as_str()));
        assert!(fake.calls.borrow().is_empty(), "{line}");
    }
    let client = call_with(&Fake::default(), COMMIT, &[("content-type", "text/plain")]);
    assert_eq!(client.code(), 400);
    assert_eq!(
        client.text(),
        "{\"message\":\"unsupported Content-Type header (text/plain): must be 'application/json'\"}\n"
    );
}

#[test]
fn failures_of_the_engine_have_their_status() {
    for (error, status) in [
        (Error::NotFound("No such container: web".to_owned()), 404),
        (
            Error::InvalidArgument("RUN is not a valid change command".to_owned()),
            400,
        ),
        (Error::Conflict("in use".to_owned()), 409),
    ] {
        let message = error.to_string();
        let fake = Fake {
            error: Some(error),
            ..Fake::default()
        };
        let client = send_nothing(&fake, COMMIT);
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (status, expected.as_str()));
    }
}
