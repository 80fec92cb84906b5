//! Push: its parameters, the lines of the stream, and failures.

use base64::{Engine as _, prelude::BASE64_URL_SAFE};
use strata_engine::{
    BlobProgress, Completed, Error, Event, Phase, RegistryAuth, Resolved, Retry, Substituted,
};
use strata_http::Gone;
use strata_oci::{Descriptor, Reference, media_type::OCI_INDEX};

use super::{
    client::{Client, call, call_as, call_with},
    fake::{Fake, Step, digest},
};

const PUSH: &str = "POST /images/docker.io/library/foo/push?tag=1";
const FIRST: &str = r#"{"status":"The push refers to repository [docker.io/library/foo]"}"#;

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

fn blob(name: &str, phase: Phase, current: u64) -> Step {
    Step::Report(Event::Blob(BlobProgress {
        digest: digest(name),
        phase,
        current,
        total: 100,
        mounted_from: (phase == Phase::Mounted).then(|| "other/foo".to_owned()),
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

fn resolved(name: &str) -> Step {
    Step::Report(Event::Resolved(Resolved {
        reference: reference(name),
        digest: digest("index"),
    }))
}

fn completed(name: &str) -> Step {
    Step::Report(Event::Completed(Completed {
        reference: reference(name),
        digest: digest("index"),
        size: 7,
        changed: true,
    }))
}

fn layer(name: &str, status: &str, detail: &str) -> String {
    let id = digest(name).short().to_owned();
    format!(r#"{{"status":"{status}","progressDetail":{{{detail}}},"id":"{id}"}}"#)
}

/// What ends the push of a tag.
fn last(tag: &str) -> [String; 2] {
    let digest = digest("index");
    [
        format!(r#"{{"status":"{tag}: digest: {digest} size: 7"}}"#),
        format!(
            r#"{{"progressDetail":{{}},"aux":{{"Tag":"{tag}","Digest":"{digest}","Size":7}}}}"#
        ),
    ]
}

#[test]
fn lines_come_in_dockerds_order_and_shape() {
    let fake = Fake::scripted([
        resolved("foo:1"),
        blob("a", Phase::Queued, 0),
        blob("b", Phase::Queued, 0),
        blob("b", Phase::AlreadyExists, 100),
        blob("c", Phase::Mounted, 100),
        blob("d", Phase::Unavailable, 0),
        blob("a", Phase::Uploading, 0),
        blob("a", Phase::Uploading, 30),
        blob("a", Phase::Uploading, 60),
        Step::Yield,
        blob("a", Phase::Retrying, 60),
        retry(Some("a"), 1500),
        Step::Report(Event::Warning("registry moves in May".to_owned())),
        retry(None, 900),
        blob("a", Phase::Uploading, 100),
        Step::Yield,
        blob("a", Phase::Uploaded, 100),
        completed("foo:1"),
    ]);
    let client = call(&fake, PUSH);
    let mut expected = vec![
        FIRST.to_owned(),
        layer("a", "Waiting", ""),
        layer("b", "Waiting", ""),
        layer("b", "Layer already exists", ""),
        layer("c", "Mounted from other/foo", ""),
        layer("d", "Unavailable", ""),
        layer("a", "Pushing", r#""current":60,"total":100"#),
        layer("a", "Retrying in 2 seconds", ""),
        r#"{"status":"registry moves in May"}"#.to_owned(),
        r#"{"status":"Retrying in 1 second"}"#.to_owned(),
        layer("a", "Pushing", r#""current":100,"total":100"#),
        layer("a", "Pushed", ""),
    ];
    expected.extend(last("1"));
    assert_eq!(client.lines(), expected);
    assert_eq!(client.code(), 200);
    assert_eq!(client.headers["content-type"], "application/json");
    assert_eq!(client.headers["api-version"], "1.54");
    assert!(!client.headers.contains_key("content-length"));
}

#[test]
fn every_tag_has_its_own_end() {
    let tags = ["foo:1", "foo:2"].map(|tag| [resolved(tag), completed(tag)]);
    let fake = Fake::scripted(tags.into_iter().flatten());
    let client = call(&fake, "POST /images/foo/push");
    let mut expected = vec![FIRST.to_owned()];
    expected.extend(last("1"));
    expected.extend(last("2"));
    assert_eq!(client.lines(), expected);
}

#[test]
fn a_digest_stands_where_there_is_no_tag() {
    let name = format!("foo@{}", digest("index"));
    let fake = Fake::scripted([completed(&name)]);
    let client = call(&fake, &format!("POST /images/{name}/push"));
    let digest = digest("index");
    assert_eq!(
        client.lines()[1..],
        [
            format!(r#"{{"status":"{digest}: digest: {digest} size: 7"}}"#),
            format!(r#"{{"progressDetail":{{}},"aux":{{"Tag":"","Digest":"{digest}","Size":7}}}}"#),
        ]
    );
}

#[test]
fn a_substituted_manifest_is_told_before_the_end() {
    let [line, aux] = last("1");
    let descriptor = |name: &str| Descriptor::new(OCI_INDEX, digest(name), 9);
    let fake = Fake::scripted([
        Step::Report(Event::Substituted(Box::new(Substituted {
            index: descriptor("index"),
            manifest: descriptor("manifest"),
        }))),
        completed("foo:1"),
    ]);
    let json = |name: &str| serde_json::to_string(&descriptor(name)).unwrap();
    let substituted = format!(
        concat!(
            r#"{{"progressDetail":{{}},"aux":{{"manifestPushedInsteadOfIndex":true,"#,
            r#""originalIndex":{},"selectedManifest":{}}}}}"#
        ),
        json("index"),
        json("manifest"),
    );
    assert_eq!(
        call(&fake, PUSH).lines(),
        [FIRST, &substituted, &line, &aux]
    );
}

#[test]
fn parameters_make_the_reference() {
    let sha = digest("x");
    for (path, expected, all_tags) in [
        (
            "foo/push?tag=3".to_owned(),
            "docker.io/library/foo:3",
            false,
        ),
        (
            "foo:2/push?tag=3".to_owned(),
            "docker.io/library/foo:3",
            false,
        ),
        ("foo:2/push".to_owned(), "docker.io/library/foo:2", false),
        ("foo/push".to_owned(), "docker.io/library/foo", true),
        ("foo/push?tag=".to_owned(), "docker.io/library/foo", true),
        (
            "reg:5000/a/b/push?tag=1".to_owned(),
            "reg:5000/a/b:1",
            false,
        ),
        (
            format!("foo@{sha}/push"),
            &format!("docker.io/library/foo@{sha}"),
            false,
        ),
    ] {
        let fake = Fake::default();
        assert_eq!(call(&fake, &format!("POST /images/{path}")).code(), 200);
        let options = &fake.pushes.borrow()[0];
        let pushed = (options.reference.to_string(), options.all_tags);
        assert_eq!(pushed, (expected.to_owned(), all_tags), "{path}");
    }
}

#[test]
fn bad_parameters_have_a_status_and_never_reach_the_engine() {
    let digested = format!("foo@{}/push?tag=1", digest("x"));
    let sha = format!("foo/push?tag={}", digest("x"));
    for (path, message) in [
        (digested.as_str(), "cannot import digest reference"),
        (&sha, "invalid tag format"),
        ("foo/push?tag=-", "invalid tag format"),
        (
            "Foo/push?tag=1",
            "invalid reference format: repository name (library/Foo) must be lowercase",
        ),
        (
            "Foo/push",
            "invalid reference format: repository name (library/Foo) must be lowercase",
        ),
        (
            "foo/push?platform={}",
            "both OS and Architecture must be provided",
        ),
    ] {
        let fake = Fake::default();
        let client = call(&fake, &format!("POST /images/{path}"));
        assert_eq!(client.code(), 400, "{path}");
        assert_eq!(client.text(), format!("{{\"message\":\"{message}\"}}\n"));
        assert!(fake.pushes.borrow().is_empty());
    }
}

#[test]
fn platform_and_headers_are_passed_on() {
    let auth = BASE64_URL_SAFE.encode(r#"{"username":"u","password":"p"}"#);
    let headers = [("x-registry-auth", auth.as_str()), ("x-meta-team", "blue")];
    let arm = r#"platform={"os":"linux","architecture":"arm64"}"#;
    for (version, query, platform) in [
        ("", arm, Some("linux/arm64")),
        ("/v1.46", arm, Some("linux/arm64")),
        ("/v1.45", arm, None),
        ("/v1.45", "platform=nonsense", None),
        ("", "platform=", None),
    ] {
        let fake = Fake::default();
        let line = format!("POST {version}/images/foo/push?tag=1&{query}");
        assert_eq!(call_with(&fake, &line, &headers).code(), 200);
        let options = &fake.pushes.borrow()[0];
        let given = options.platform.as_ref().map(ToString::to_string);
        assert_eq!(given.as_deref(), platform, "{line}");
        let expected = [("x-meta-team".to_owned(), "blue".to_owned())];
        assert_eq!(options.headers, expected);
        let expected = RegistryAuth::Basic {
            username: "u".to_owned(),
            password: "p".into(),
        };
        assert!(options.auth == expected);
    }
}

#[test]
fn every_failure_of_the_engine_is_in_the_stream() {
    let missing = || Step::Fail(Error::NotFound("tag does not exist: foo:1".to_owned()));
    let failure = concat!(
        r#"{"errorDetail":{"message":"tag does not exist: foo:1"},"#,
        r#""error":"tag does not exist: foo:1"}"#
    );
    for script in [vec![missing()], vec![Step::Yield, missing()]] {
        let client = call(&Fake::scripted(script), PUSH);
        assert_eq!(client.code(), 200);
        assert_eq!(client.lines(), [FIRST, failure]);
    }
}

#[test]
fn the_first_line_waits_for_nothing_and_a_client_that_leaves_cancels() {
    let fake = Fake::scripted([Step::Hang]);
    let mut client = Client {
        leaves_at: Some(0),
        ..Client::default()
    };
    // Hanging work would never learn it if the line were not tried.
    assert_eq!(call_as(&mut client, &fake, PUSH), Err(Gone));
    assert_eq!(client.code(), 200);
    assert!(fake.pushes.borrow().is_empty(), "not even begun");
    let fake = Fake::scripted([Step::Yield, blob("a", Phase::Queued, 0), Step::Hang]);
    client = Client {
        leaves_at: Some(1),
        ..Client::default()
    };
    assert_eq!(call_as(&mut client, &fake, PUSH), Err(Gone));
    assert_eq!(client.lines(), [FIRST]);
    assert!(fake.cancelled.get());
}
