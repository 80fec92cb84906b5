//! Import: its parameters, where the archive comes from, the lines of the stream, and failures.

use strata_engine::{ContentProgress, Error, Event, Phase};
use strata_http::{Gone, RequestBody};

use super::{
    client::{Client, block_on, call, call_as, request, respond},
    fake::{Fake, Step, digest, last_call},
};

const BODY: &str = "POST /images/create?fromSrc=-&repo=a";
const URL: &str = "POST /images/create?fromSrc=host/a.tar";

fn content(phase: Phase, current: u64) -> Step {
    Step::Report(Event::Content(ContentProgress {
        phase,
        current,
        total: 100,
    }))
}

fn result() -> String {
    format!(r#"{{"status":"{}"}}"#, digest("imported"))
}

fn counted(current: u64) -> String {
    format!(r#"{{"status":"Importing","progressDetail":{{"current":{current},"total":100}}}}"#)
}

#[test]
fn parameters_make_the_options() {
    for (query, source, reference, message, platform, changes) in [
        (
            "fromSrc=-&repo=a",
            "body",
            Some("docker.io/library/a:latest"),
            "Imported from -",
            None,
            "[]",
        ),
        (
            "fromSrc=-&repo=a:1&tag=2&message=m",
            "body",
            Some("docker.io/library/a:2"),
            "m",
            None,
            "[]",
        ),
        (
            "fromImage=&fromSrc=-&platform=linux/arm64",
            "body",
            None,
            "Imported from -",
            Some("arm64"),
            "[]",
        ),
        (
            "fromSrc=host/a.tar&changes=CMD+a&changes=ENV+b%3D%22c%22",
            "http://host/a.tar",
            None,
            "Imported from host/a.tar",
            None,
            r#"["CMD a", "ENV b=\"c\""]"#,
        ),
        (
            "fromSrc=https://host/a?b%26c",
            "https://host/a?b&c",
            None,
            "Imported from https://host/a",
            None,
            "[]",
        ),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("POST /images/create?{query}"));
        assert_eq!(client.code(), 200, "{query}: {}", client.text());
        let call = last_call(&fake);
        assert!(call.starts_with(&format!("import {source} Imp")), "{call}");
        for part in [
            format!("message: Some({message:?})"),
            format!("changes: {changes} }}"),
        ] {
            assert!(call.contains(&part), "{part} in {call}");
        }
        assert_eq!(call.contains("reference: None"), reference.is_none());
        assert_eq!(call.contains("platform: None"), platform.is_none());
        for part in reference.into_iter().chain(platform) {
            let words = part.split(['/', ':']);
            assert!(words.into_iter().all(|word| call.contains(word)), "{call}");
        }
    }
}

#[test]
fn bad_parameters_never_reach_the_engine() {
    let with_digest = format!("fromSrc=-&repo=a@{}", digest("a"));
    for (query, status, message) in [
        ("", 500, "Get \\\"http:\\\": http: no Host in request URL"),
        (
            "fromSrc=&repo=a",
            500,
            "Get \\\"http:\\\": http: no Host in request URL",
        ),
        (&with_digest, 400, "cannot import digest reference"),
        ("fromSrc=-&repo=a&tag=-", 400, "invalid tag format"),
        (
            "fromSrc=-&platform=a&platform=b",
            400,
            "multiple platforms is not supported",
        ),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("POST /images/create?{query}"));
        let expected = format!("{{\"message\":\"{message}\"}}\n");
        assert_eq!((client.code(), client.text()), (status, expected.as_str()));
        assert!(fake.calls.borrow().is_empty(), "{query}");
    }
}

#[test]
fn platforms_came_with_1_32() {
    for (version, expected) in [("1.32", false), ("1.31", true)] {
        let fake = Fake::default();
        let line = format!("POST /v{version}/images/create?fromSrc=-&platform=linux/arm64");
        assert_eq!(call(&fake, &line).code(), 200);
        assert_eq!(last_call(&fake).contains("platform: None"), expected);
    }
}

#[test]
fn a_body_is_imported_without_progress() {
    let fake = Fake::scripted([
        content(Phase::Downloading, 30),
        Step::Yield,
        content(Phase::Downloaded, 100),
    ]);
    let client = call(&fake, BODY);
    assert_eq!(client.lines(), [result()]);
    assert_eq!(client.code(), 200);
    assert_eq!(client.headers["content-type"], "application/json");
}

#[test]
fn a_url_is_imported_with_progress() {
    let fake = Fake::scripted([
        Step::Yield,
        content(Phase::Downloading, 0),
        Step::Yield,
        content(Phase::Downloading, 30),
        content(Phase::Downloading, 60),
        Step::Yield,
        content(Phase::Downloaded, 100),
    ]);
    let expected = [
        r#"{"status":"Downloading from http://host/a.tar"}"#.to_owned(),
        counted(60),
        counted(100),
        result(),
    ];
    assert_eq!(call(&fake, URL).lines(), expected);
}

#[test]
fn a_failure_has_its_status_until_something_was_sent() {
    let fail = || Step::Fail(Error::NotFound("failed to GET".to_owned()));
    for (line, script) in [
        (BODY, vec![fail()]),
        (
            BODY,
            vec![content(Phase::Downloading, 5), Step::Yield, fail()],
        ),
        (URL, vec![Step::Yield, fail()]),
        (URL, vec![content(Phase::Downloading, 5), fail()]),
    ] {
        let client = call(&Fake::scripted(script), line);
        assert_eq!(
            (client.code(), client.text()),
            (404, "{\"message\":\"failed to GET\"}\n"),
            "{line}"
        );
    }
    let fake = Fake::scripted([content(Phase::Downloading, 5), Step::Yield, fail()]);
    let client = call(&fake, URL);
    assert_eq!(client.code(), 200);
    let last = r#"{"errorDetail":{"message":"failed to GET"},"error":"failed to GET"}"#;
    assert_eq!(client.lines().last(), Some(&last));
}

#[test]
fn a_client_that_leaves_cancels_the_import() {
    let fake = Fake::scripted([content(Phase::Downloading, 1), Step::Hang]);
    let mut client = Client {
        leaves_at: Some(0),
        ..Client::default()
    };
    assert_eq!(call_as(&mut client, &fake, URL), Err(Gone));
    assert!(fake.cancelled.get());
}

#[test]
fn a_body_that_was_not_streamed_is_our_own_fault() {
    let fake = Fake::default();
    let mut request = request(BODY, b"");
    request.body = RequestBody::Bytes(Vec::new());
    let mut client = Client::default();
    assert_eq!(block_on(respond(&fake, request, &mut client)), Ok(()));
    assert_eq!(client.code(), 500);
    assert!(fake.calls.borrow().is_empty());
}
