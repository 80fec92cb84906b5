//! Pull: the lines of the stream, and what happens when either side fails.

use strata_engine::{BlobProgress, Completed, Error, Event, Phase, Resolved, Retry};
use strata_http::Gone;
use strata_oci::Reference;

use super::{
    client::{Client, call, call_as},
    fake::{Fake, Step, digest},
};

const PULL: &str = "POST /images/create?fromImage=docker.io%2Flibrary%2Falpine&tag=3";

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn resolved(name: &str) -> Step {
    Step::Report(Event::Resolved(Resolved {
        reference: reference(name),
        digest: digest("index"),
    }))
}

fn blob(name: &str, phase: Phase, current: u64) -> Step {
    Step::Report(Event::Blob(BlobProgress {
        digest: digest(name),
        phase,
        current,
        total: 100,
        mounted_from: None,
    }))
}

fn retry(name: Option<&str>, delay: u32) -> Step {
    Step::Report(Event::Retry(Retry {
        digest: name.map(digest),
        attempt: 2,
        delay,
        reason: Error::Unavailable("reset".to_owned()),
    }))
}

fn completed(name: &str, changed: bool) -> Step {
    Step::Report(Event::Completed(Completed {
        reference: reference(name),
        digest: digest("index"),
        size: 7,
        changed,
    }))
}

fn layer(name: &str, status: &str, detail: &str) -> String {
    let id = digest(name).short().to_owned();
    format!(r#"{{"status":"{status}","progressDetail":{{{detail}}},"id":"{id}"}}"#)
}

#[test]
fn lines_come_in_dockerds_order_and_shape() {
    let fake = Fake::scripted([
        resolved("alpine:3"),
        blob("a", Phase::Queued, 0),
        blob("b", Phase::Queued, 0),
        blob("c", Phase::Queued, 0),
        blob("c", Phase::AlreadyExists, 0),
        Step::Yield,
        blob("a", Phase::Downloading, 0),
        blob("a", Phase::Downloading, 60),
        Step::Yield,
        blob("a", Phase::Retrying, 60),
        retry(Some("a"), 1500),
        Step::Yield,
        blob("a", Phase::Downloading, 100),
        Step::Yield,
        blob("a", Phase::Downloaded, 100),
        Step::Report(Event::Warning("registry moves in May".to_owned())),
        retry(None, 900),
        blob("b", Phase::Downloaded, 100),
        completed("alpine:3", true),
    ]);
    let client = call(&fake, PULL);
    let hide = r#""hidecounts":true"#;
    let expected = [
        r#"{"status":"Pulling from library/alpine","id":"3"}"#.to_owned(),
        layer("a", "Pulling fs layer", ""),
        layer("b", "Pulling fs layer", ""),
        layer("c", "Pulling fs layer", ""),
        layer("c", "Already exists", hide),
        layer("a", "Downloading", r#""current":60,"total":100"#),
        layer("a", "Retrying in 2 seconds", ""),
        layer("a", "Downloading", r#""current":100,"total":100"#),
        layer("a", "Download complete", hide),
        layer("a", "Pull complete", hide),
        r#"{"status":"registry moves in May"}"#.to_owned(),
        r#"{"status":"Retrying in 1 second"}"#.to_owned(),
        layer("b", "Download complete", hide),
        layer("b", "Pull complete", hide),
        format!(r#"{{"status":"Digest: {}"}}"#, digest("index")),
        r#"{"status":"Status: Downloaded newer image for alpine:3"}"#.to_owned(),
    ];
    assert_eq!(client.lines(), expected);
    assert_eq!(client.code(), 200);
    assert_eq!(client.headers["content-type"], "application/json");
    assert_eq!(client.headers["api-version"], "1.54");
    assert!(!client.headers.contains_key("content-length"));
    assert!(!fake.cancelled.get());
}

#[test]
fn a_pull_that_changes_nothing_says_so() {
    let fake = Fake::scripted([resolved("alpine:3"), completed("alpine:3", false)]);
    let digest_line = format!(r#"{{"status":"Digest: {}"}}"#, digest("index"));
    assert_eq!(
        call(&fake, PULL).lines(),
        [
            r#"{"status":"Pulling from library/alpine","id":"3"}"#,
            &digest_line,
            r#"{"status":"Status: Image is up to date for alpine:3"}"#,
        ]
    );
}

#[test]
fn warnings_wait_for_the_first_line() {
    let warning = |text: &str| Step::Report(Event::Warning(text.to_owned()));
    let fake = Fake::scripted([
        warning("early"),
        Step::Yield,
        resolved("alpine:3"),
        warning("late"),
    ]);
    assert_eq!(
        call(&fake, PULL).lines(),
        [
            r#"{"status":"early"}"#,
            r#"{"status":"Pulling from library/alpine","id":"3"}"#,
            r#"{"status":"late"}"#,
        ]
    );
    let fake = Fake::scripted([
        warning("early"),
        Step::Yield,
        Step::Fail(Error::Denied("no".to_owned())),
    ]);
    assert_eq!(call(&fake, PULL).code(), 403);
}

#[test]
fn a_digest_pull_names_the_whole_reference() {
    let name = format!("ghcr.io/a/b@{}", digest("index"));
    let fake = Fake::scripted([resolved(&name), completed(&name, true)]);
    let line = format!(
        "POST /images/create?fromImage=ghcr.io/a/b&tag={}",
        digest("index")
    );
    let client = call(&fake, &line);
    assert_eq!(
        client.lines()[0],
        format!(r#"{{"status":"Pulling from a/b","id":"{name}"}}"#)
    );
    assert_eq!(
        client.lines()[2],
        format!(r#"{{"status":"Status: Downloaded newer image for {name}"}}"#)
    );
}

#[test]
fn every_tag_has_its_own_lines() {
    let tags = ["alpine:1", "alpine:2"];
    let script = tags.map(|tag| [resolved(tag), completed(tag, true)]);
    let fake = Fake::scripted(script.into_iter().flatten());
    let client = call(&fake, "POST /images/create?fromImage=alpine");
    assert!(fake.pulls.borrow()[0].all_tags);
    let ids = client
        .lines()
        .into_iter()
        .filter(|line| line.contains("\"id\""));
    assert_eq!(ids.count(), 2);
    assert_eq!(client.lines().len(), 6);
}

#[test]
fn a_failure_before_the_first_byte_has_its_status() {
    let limited = || Error::RateLimited {
        message: "toomanyrequests: slow down".to_owned(),
        retry_after: Some(60),
    };
    for script in [
        vec![Step::Fail(limited())],
        vec![Step::Yield, Step::Yield, Step::Fail(limited())],
        // Attempts to resolve are not worth the status.
        vec![
            retry(None, 1000),
            retry(Some("m"), 1),
            Step::Yield,
            Step::Fail(limited()),
        ],
        // Nor is a line nobody has got yet.
        vec![resolved("alpine:3"), Step::Fail(limited())],
    ] {
        let client = call(&Fake::scripted(script), PULL);
        assert_eq!(client.code(), 429);
        assert_eq!(
            client.text(),
            "{\"message\":\"toomanyrequests: slow down\"}\n"
        );
        assert_eq!(client.headers["retry-after"], "60");
        assert_eq!(client.headers["docker-experimental"], "false");
    }
}

#[test]
fn a_failure_after_the_first_byte_is_the_last_message() {
    let fake = Fake::scripted([
        resolved("alpine:3"),
        Step::Yield,
        Step::Fail(Error::NotFound("no <layer>".to_owned())),
    ]);
    let client = call(&fake, PULL);
    assert_eq!(client.code(), 200);
    assert_eq!(
        client.lines(),
        [
            r#"{"status":"Pulling from library/alpine","id":"3"}"#,
            r#"{"errorDetail":{"message":"no <layer>"},"error":"no <layer>"}"#,
        ]
    );
}

#[test]
fn a_client_that_leaves_cancels_the_pull() {
    for leaves_at in [0, 1] {
        let fake = Fake::scripted([
            resolved("alpine:3"),
            Step::Yield,
            blob("a", Phase::Downloading, 1),
            Step::Hang,
        ]);
        let mut client = Client {
            leaves_at: Some(leaves_at),
            ..Client::default()
        };
        assert_eq!(call_as(&mut client, &fake, PULL), Err(Gone));
        assert!(fake.cancelled.get());
    }
}

#[test]
fn a_slow_client_gets_the_newest_counts_and_every_other_line() {
    let mut script = vec![resolved("alpine:3"), blob("a", Phase::Queued, 0)];
    for current in 1..=1000 {
        script.extend([blob("a", Phase::Downloading, current), Step::Yield]);
    }
    script.extend([
        blob("a", Phase::Downloaded, 1000),
        completed("alpine:3", true),
    ]);
    let fake = Fake::scripted(script);
    let mut client = Client {
        delay: 100,
        ..Client::default()
    };
    assert_eq!(call_as(&mut client, &fake, PULL), Ok(()));
    let counts: Vec<&str> = client
        .lines()
        .into_iter()
        .filter(|line| line.contains("Downloading"))
        .collect();
    assert!((2..=12).contains(&counts.len()), "{}", counts.len());
    assert!(counts.last().unwrap().contains(r#""current":1000,"#));
    assert_eq!(client.lines().len() - counts.len(), 6);
}

#[test]
fn nothing_reported_is_an_empty_stream() {
    let client = call(&Fake::default(), PULL);
    assert_eq!((client.code(), client.text()), (200, ""));
    assert_eq!(client.headers["content-type"], "application/json");
}
