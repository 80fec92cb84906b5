//! Load: its parameters, the streamed body, the lines of the stream, and failures.

use strata_engine::{BlobProgress, Completed, Error, Event, Loaded, Phase};
use strata_http::{Gone, RequestBody};
use strata_oci::Reference;

use super::{
    client::{Client, block_on, call, call_as, request, respond},
    fake::{Fake, Step, digest, last_call},
};

const LOUD: &str = "POST /images/load?quiet=0";

fn blob(name: &str, phase: Phase, current: u64) -> Step {
    Step::Report(Event::Blob(BlobProgress {
        digest: digest(name),
        phase,
        current,
        total: 100,
        mounted_from: None,
    }))
}

fn layer(name: &str, status: &str, detail: &str) -> String {
    let id = digest(name).short().to_owned();
    format!(r#"{{"status":"{status}","progressDetail":{{{detail}}},"id":"{id}"}}"#)
}

fn loaded(name: Option<&str>) -> Loaded {
    Loaded {
        name: name.map(str::to_owned),
        id: digest("image"),
    }
}

fn loading(script: impl IntoIterator<Item = Step>, loaded: Vec<Loaded>) -> Fake {
    Fake {
        loaded,
        ..Fake::scripted(script)
    }
}

/// A load of two layers, one of which is here, of an image with a name and one without.
fn typical() -> Fake {
    let completed = Completed {
        reference: Reference::parse("alpine:latest").unwrap(),
        digest: digest("image"),
        size: 7,
        changed: true,
    };
    let script = [
        blob("a", Phase::Downloading, 0),
        blob("a", Phase::Downloading, 30),
        blob("a", Phase::Downloading, 60),
        Step::Yield,
        blob("a", Phase::Downloaded, 100),
        blob("b", Phase::AlreadyExists, 100),
        Step::Report(Event::Completed(completed)),
    ];
    loading(script, vec![loaded(Some("alpine:latest")), loaded(None)])
}

fn results() -> [String; 2] {
    [
        r#"{"stream":"Loaded image: alpine:latest\n"}"#.to_owned(),
        format!(r#"{{"stream":"Loaded image ID: {}\n"}}"#, digest("image")),
    ]
}

#[test]
fn progress_comes_before_the_results() {
    let client = call(&typical(), LOUD);
    let mut expected = vec![
        layer("a", "Loading layer", r#""current":60,"total":100"#),
        layer("a", "Loading layer", r#""current":100,"total":100"#),
        layer("b", "Already exists", r#""hidecounts":true"#),
    ];
    expected.extend(results());
    assert_eq!(client.lines(), expected);
    assert_eq!(client.code(), 200);
    assert_eq!(client.headers["content-type"], "application/json");
    assert!(!client.headers.contains_key("content-length"));
}

#[test]
fn only_an_explicit_no_is_loud() {
    for (query, is_quiet) in [
        ("", true),
        ("?quiet=1", true),
        ("?quiet=true", true),
        ("?quiet=banana", true),
        ("?quiet=0", false),
        ("?quiet=false", false),
        ("?quiet=", false),
        ("?quiet", false),
    ] {
        let fake = typical();
        let client = call(&fake, &format!("POST /images/load{query}"));
        let has_progress = client.text().contains("progressDetail");
        assert_eq!(has_progress, !is_quiet, "{query}");
        assert!(
            client
                .lines()
                .ends_with(&results().each_ref().map(|line| line.as_str()))
        );
        assert_eq!(last_call(&fake), "load body LoadOptions { platforms: [] }");
    }
}

#[test]
fn platforms_depend_on_the_version() {
    let amd = r#"platform={"os":"linux","architecture":"amd64"}"#;
    let arm = r#"platform={"os":"linux","architecture":"arm64"}"#;
    let both = &format!("{amd}&{arm}");
    for (version, query, count) in [
        ("", both.as_str(), 2),
        ("/v1.52", both, 2),
        ("/v1.51", arm, 1),
        ("/v1.48", amd, 1),
        ("/v1.47", both, 0),
        ("/v1.47", "platform=nonsense", 0),
    ] {
        let fake = Fake::default();
        let line = format!("POST {version}/images/load?{query}");
        assert_eq!(call(&fake, &line).code(), 200, "{line}");
        let platforms = last_call(&fake).matches("Platform {").count();
        assert_eq!(platforms, count, "{line}");
    }
    for (path, query, message) in [
        (
            "/v1.51/images/load",
            both.as_str(),
            "multiple platform parameters are not supported in this API version; use API version 1.52 or later",
        ),
        (
            "/images/load",
            r#"platform={"os":"linux"}"#,
            "both OS and Architecture must be provided",
        ),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("POST {path}?{query}"));
        assert_eq!(client.code(), 400, "{path}");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
        assert!(fake.calls.borrow().is_empty());
    }
}

#[test]
fn every_failure_of_the_engine_is_in_the_stream() {
    let failure = r#"{"errorDetail":{"message":"unrecognized image format"},"error":"unrecognized image format"}"#;
    let fail = || {
        Step::Fail(Error::InvalidArgument(
            "unrecognized image format".to_owned(),
        ))
    };
    for (line, script, before) in [
        (LOUD, vec![fail()], 0),
        ("POST /images/load", vec![fail()], 0),
        ("POST /images/load", vec![Step::Yield, fail()], 0),
        (LOUD, vec![blob("a", Phase::Downloading, 1), fail()], 1),
        (
            LOUD,
            vec![blob("a", Phase::Downloading, 1), Step::Yield, fail()],
            1,
        ),
    ] {
        let client = call(&loading(script, vec![loaded(None)]), line);
        assert_eq!(client.code(), 200);
        assert_eq!(client.lines()[before..], [failure]);
    }
}

#[test]
fn nothing_loaded_is_an_empty_stream() {
    let client = call(&Fake::default(), "POST /images/load");
    assert_eq!((client.code(), client.text()), (200, ""));
    assert_eq!(client.headers["content-type"], "application/json");
}

#[test]
fn no_result_is_lost_however_slow_the_client() {
    const COUNT: usize = 10_000;
    let names = (0..COUNT).map(|number| format!("image:{number}"));
    let images = names.map(|name| loaded(Some(&name))).collect();
    let mut client = Client {
        delay: 3,
        ..Client::default()
    };
    let fake = loading([], images);
    assert_eq!(call_as(&mut client, &fake, LOUD), Ok(()));
    assert_eq!(client.lines().len(), COUNT);
}

#[test]
fn a_client_that_leaves_cancels_the_load() {
    let fake = loading([blob("a", Phase::Downloading, 1), Step::Hang], Vec::new());
    let mut client = Client {
        leaves_at: Some(0),
        ..Client::default()
    };
    assert_eq!(call_as(&mut client, &fake, LOUD), Err(Gone));
    assert!(fake.cancelled.get());
}

#[test]
fn a_body_that_was_not_streamed_is_our_own_fault() {
    let fake = Fake::default();
    let mut request = request(LOUD, b"");
    request.body = RequestBody::Bytes(Vec::new());
    let mut client = Client::default();
    assert_eq!(block_on(respond(&fake, request, &mut client)), Ok(()));
    assert_eq!(client.code(), 500);
    assert!(fake.calls.borrow().is_empty());
}
